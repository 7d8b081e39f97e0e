// Starts Swagger UI with the configuration that the page carries as data.
"use strict";

(function () {
  const config = JSON.parse(document.getElementById("swagger-ui").dataset.config);
  const { initOAuth, oauth2RedirectUrl, ...parameters } = config;
  if (oauth2RedirectUrl) parameters.oauth2RedirectUrl = new URL(oauth2RedirectUrl, location.origin).href;
  const presets = [window.SwaggerUIBundle.presets.apis];
  if (window.SwaggerUIStandalonePreset) presets.push(window.SwaggerUIStandalonePreset);
  const ui = window.SwaggerUIBundle({ ...parameters, presets });
  if (initOAuth) ui.initOAuth(initOAuth);
  window.ui = ui;
})();
