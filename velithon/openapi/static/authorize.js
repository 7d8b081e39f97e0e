// The Authorize dialog: API keys, HTTP basic and bearer, and the OAuth2 flows. Credentials stay in this page's memory
// unless the application sets persistAuthorization.
"use strict";

(function (docs) {
  const { h } = docs;
  const STORE = "velithon.docs.authorization";
  const credentials = {};

  docs.schemes = function () {
    const schemes = (docs.document.components || {}).securitySchemes || {};
    return Object.entries(schemes).map(([name, scheme]) => [name, docs.resolve(scheme)]);
  };

  function persist() {
    if (docs.config.persistAuthorization) localStorage.setItem(STORE, JSON.stringify(credentials));
  }

  docs.restoreAuthorization = function () {
    if (!docs.config.persistAuthorization) return;
    try {
      Object.assign(credentials, JSON.parse(localStorage.getItem(STORE) || "{}"));
    } catch (error) {
      localStorage.removeItem(STORE);
    }
  };

  function requirements(operation) {
    return operation.security || docs.document.security || [];
  }

  docs.isProtected = function (operation) {
    return requirements(operation).some((requirement) => Object.keys(requirement).length);
  };

  function apply(request, scheme, credential) {
    if (scheme.type === "apiKey") {
      if (scheme.in === "query") request.query.append(scheme.name, credential.value);
      else if (scheme.in === "cookie") request.cookies[scheme.name] = credential.value;
      else request.headers[scheme.name] = credential.value;
    } else if (scheme.type === "http" && scheme.scheme.toLowerCase() === "basic") {
      const bytes = new TextEncoder().encode(`${credential.username}:${credential.password}`);
      request.headers.authorization = `Basic ${btoa(String.fromCharCode(...bytes))}`;
    } else if (scheme.type === "http" && scheme.scheme.toLowerCase() !== "bearer") {
      request.headers.authorization = `${scheme.scheme} ${credential.value}`;
    } else {
      request.headers.authorization = `Bearer ${credential.value}`;
    }
  }

  // Of the alternatives, the first whose schemes are all logged in; otherwise whatever is.
  // A sample shows where a credential belongs before there is one.
  docs.authorizeRequest = function (request, operation, isSample = false) {
    const schemes = Object.fromEntries(docs.schemes());
    const wanted = requirements(operation);
    const complete = wanted.find((requirement) => Object.keys(requirement).every((name) => credentials[name]));
    const names = complete ? Object.keys(complete) : wanted.flatMap((requirement) => Object.keys(requirement));
    for (const name of new Set(names)) {
      if (credentials[name] && schemes[name]) apply(request, schemes[name], credentials[name]);
    }
    if (!isSample || !wanted.length || [...new Set(names)].some((name) => credentials[name])) return;
    for (const name of Object.keys(wanted[0])) {
      if (schemes[name]) apply(request, schemes[name], { value: "YOUR_TOKEN", username: "YOUR_NAME", password: "YOUR_PASSWORD" });
    }
  };

  function field(label, name, type, value) {
    const id = docs.uniqueId("auth");
    return h("p.field", {}, h("label", { for: id }, label),
      h("input", { id, name, type, value: value || "", autocomplete: type === "password" ? "current-password" : "off" }));
  }

  function endpoint(url) {
    const found = new URL(url, docs.documentUrl);
    if (!/^https?:$/.test(found.protocol)) throw new Error(`${url} is no address of a server.`);
    return found.href;
  }

  async function requestToken(flow, fields, client) {
    const body = new URLSearchParams(fields);
    const headers = { "content-type": "application/x-www-form-urlencoded", accept: "application/json" };
    if (client.basic && client.id) headers.authorization = `Basic ${btoa(`${client.id}:${client.secret}`)}`;
    else if (client.id) {
      body.set("client_id", client.id);
      if (client.secret) body.set("client_secret", client.secret);
    }
    for (const [name, value] of Object.entries(docs.config.initOAuth.additionalQueryStringParams || {})) body.set(name, value);
    const response = await fetch(endpoint(flow.tokenUrl), { method: "POST", headers, body, credentials: "same-origin" });
    const text = await response.text();
    if (!response.ok) throw new Error(`${response.status} ${text.slice(0, 300)}`);
    const token = JSON.parse(text).access_token;
    if (!token) throw new Error("The answer of the token URL holds no access_token.");
    return token;
  }

  function base64url(bytes) {
    return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  }

  // The redirect page hands the answer to window.opener.swaggerUIRedirectOauth2, as Swagger UI's does.
  async function viaRedirect(kind, flow, scopes, client) {
    if (!docs.config.oauth2RedirectUrl) throw new Error("The application has no OAuth2 redirect page (swagger_ui_oauth2_redirect_url).");
    const redirectUrl = new URL(docs.config.oauth2RedirectUrl, location.origin).href;
    const state = base64url(crypto.getRandomValues(new Uint8Array(16)));
    const verifier = base64url(crypto.getRandomValues(new Uint8Array(32)));
    const url = new URL(endpoint(flow.authorizationUrl));
    const query = { response_type: kind === "implicit" ? "token" : "code", client_id: client.id, redirect_uri: redirectUrl, state };
    if (scopes.length) query.scope = scopes.join(docs.config.initOAuth.scopeSeparator || " ");
    if (kind === "authorizationCode" && crypto.subtle) {
      query.code_challenge = base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
      query.code_challenge_method = "S256";
    }
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const answer = await new Promise((resolve, reject) => {
      window.swaggerUIRedirectOauth2 = {
        state, redirectUrl,
        auth: { name: "oauth2", schema: new Map([["flow", kind]]) },
        callback: resolve,
        errCb: (error) => reject(new Error(error.message)),
      };
      if (!window.open(url.href, "_blank")) reject(new Error("The browser blocked the login window."));
    });
    if (kind === "implicit") {
      if (!answer.isValid) throw new Error("The state that came back is not the one that was sent.");
      return answer.token.access_token;
    }
    const exchange = { grant_type: "authorization_code", code: answer.auth.code, redirect_uri: redirectUrl };
    if (query.code_challenge) exchange.code_verifier = verifier;
    return requestToken(flow, exchange, client);
  }

  async function login(kind, flow, form) {
    const value = (name) => (form.elements[name] ? form.elements[name].value : "");
    const scopes = [...form.querySelectorAll("input[name=scope]:checked")].map((box) => box.value);
    const client = { id: value("client_id"), secret: value("client_secret"), basic: kind !== "password" && docs.config.initOAuth.useBasicAuthenticationWithAccessCodeGrant };
    if (kind === "password") {
      const fields = { grant_type: "password", username: value("username"), password: value("password") };
      if (scopes.length) fields.scope = scopes.join(" ");
      return requestToken(flow, fields, { ...client, basic: Boolean(client.id) });
    }
    if (kind === "clientCredentials") {
      const fields = { grant_type: "client_credentials" };
      if (scopes.length) fields.scope = scopes.join(" ");
      return requestToken(flow, fields, { ...client, basic: true });
    }
    return viaRedirect(kind, flow, scopes, client);
  }

  function schemeForm(title, description, inputs, collect, name) {
    const status = h("p.status", { role: "status" });
    const form = h("form.scheme", { "data-scheme": name }, h("h3", {}, title), description ? docs.markdown(description) : null);
    const draw = () => {
      const active = Boolean(credentials[name]);
      body.hidden = active;
      submit.hidden = active;
      logout.hidden = !active;
      if (active) docs.replace(status, "Authorized.");
      docs.drawAuthorization();
      docs.redrawSamples();
    };
    const body = h("div", {}, inputs);
    const submit = h("button.primary", { type: "submit" }, "Authorize");
    const logout = h("button", { type: "button", onclick: () => { delete credentials[name]; persist(); docs.replace(status, "Logged out."); draw(); } }, "Logout");
    form.append(body, status, submit, logout);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      docs.replace(status, "…");
      try {
        credentials[name] = await collect(form);
        persist();
      } catch (error) {
        docs.replace(status, `Authorization failed: ${error.message}`);
      }
      draw();
    });
    draw();
    return form;
  }

  const FLOWS = { password: "password", clientCredentials: "client credentials", authorizationCode: "authorization code", implicit: "implicit" };

  function oauthForm(name, scheme, kind, flow) {
    const preset = docs.config.initOAuth;
    const chosen = Array.isArray(preset.scopes) ? preset.scopes : String(preset.scopes || "").split(" ");
    const inputs = [];
    if (kind === "password") inputs.push(field("Username", "username", "text", preset.username), field("Password", "password", "password"));
    inputs.push(field("Client id", "client_id", "text", preset.clientId));
    if (kind !== "implicit") inputs.push(field("Client secret", "client_secret", "password", preset.clientSecret));
    const scopes = Object.entries(flow.scopes || {});
    if (scopes.length) {
      inputs.push(h("fieldset", {}, h("legend", {}, "Scopes"), scopes.map(([scope, text]) =>
        h("label.scope", {}, h("input", { type: "checkbox", name: "scope", value: scope, checked: chosen.includes(scope) }),
          ` ${scope}${text ? ` – ${text}` : ""}`))));
    }
    const collect = async (form) => ({ value: await login(kind, flow, form) });
    return schemeForm(`${name} (OAuth2, ${FLOWS[kind] || kind})`, scheme.description, inputs, collect, name);
  }

  function formsFor([name, scheme]) {
    const one = (title, inputs, collect) => [schemeForm(title, scheme.description, inputs, collect, name)];
    const value = (form) => {
      if (!form.elements.value.value) throw new Error("the value is empty.");
      return { value: form.elements.value.value };
    };
    if (scheme.type === "oauth2") return Object.entries(scheme.flows || {}).map(([kind, flow]) => oauthForm(name, scheme, kind, flow));
    if (scheme.type === "apiKey") return one(`${name} (API key in ${scheme.in}: ${scheme.name})`, [field("Value", "value", "password")], value);
    if (scheme.type === "http" && scheme.scheme.toLowerCase() === "basic") {
      return one(`${name} (HTTP basic)`, [field("Username", "username", "text"), field("Password", "password", "password")],
        (form) => ({ username: form.elements.username.value, password: form.elements.password.value }));
    }
    const label = scheme.type === "http" ? `HTTP ${scheme.scheme}` : "OpenID Connect: paste a token";
    return one(`${name} (${label})`, [field("Value", "value", "password")], value);
  }

  let button = null;

  docs.drawAuthorization = function () {
    if (!button) return;
    const active = docs.schemes().filter(([name]) => credentials[name]).length;
    docs.replace(button, active ? `Authorize (${active} active)` : "Authorize");
  };

  docs.authorizeButton = function () {
    if (!docs.schemes().length) return null;
    const title = docs.uniqueId("dialog");
    let dialog = null;
    const open = () => {
      if (!dialog) {
        dialog = h("dialog.authorize", { "aria-labelledby": title },
          h("h2", { id: title }, "Available authorizations"),
          docs.schemes().flatMap(formsFor),
          h("form", { method: "dialog" }, h("button", { type: "submit" }, "Close")));
        document.body.append(dialog);
      }
      dialog.showModal();
    };
    button = h("button.authorize-open", { type: "button", onclick: open });
    docs.drawAuthorization();
    return button;
  };
})(window.velithonDocs);
