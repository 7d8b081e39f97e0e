// The page that an OAuth2 server sends the browser back to: hands the answer to the window that opened it.
"use strict";

(function () {
  const login = window.opener && window.opener.swaggerUIRedirectOauth2;
  if (!login) {
    document.getElementById("message").textContent = "This page ends a login that the documentation page begins.";
    return;
  }
  const source = /code|token|error/.test(location.hash) ? location.hash.slice(1) : location.search.slice(1);
  const answer = Object.fromEntries(new URLSearchParams(source));
  const isValid = answer.state === login.state;
  const flow = login.auth.schema.get("flow");
  const redirectUrl = login.redirectUrl;
  const fail = (message) => login.errCb({ authId: login.auth.name, source: "auth", level: "error", message });

  if (!["authorizationCode", "authorization_code", "accessCode"].includes(flow) || login.auth.code) {
    login.callback({ auth: login.auth, token: answer, isValid, redirectUrl });
  } else if (!isValid) {
    fail("The state that came back is not the one that was sent.");
  } else if (answer.code) {
    delete login.state;
    login.auth.code = answer.code;
    login.callback({ auth: login.auth, redirectUrl });
  } else {
    const reason = answer.error ? `${answer.error}: ${answer.error_description || ""}` : "the server sent no code";
    fail(`Authorization failed, ${reason}`);
  }
  window.close();
})();
