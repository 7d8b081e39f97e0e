// Starts the page: loads the document, draws its header, groups, operations, webhooks and models.
"use strict";

(function (docs) {
  const { h } = docs;

  // A document in a file of its own says by itself where its server is.
  const SOMEWHERE = "http://localhost:8000";

  docs.currentServer = function () {
    const select = document.getElementById("server");
    const servers = docs.servers();
    const server = servers[select ? select.selectedIndex : 0];
    const variables = {};
    for (const [name, variable] of Object.entries(server.variables || {})) {
      const input = document.getElementById(`server-variable-${docs.slug(name)}`);
      variables[name] = input ? input.value : variable.default;
    }
    if (docs.config.offline && !/^https?:/.test(server.url)) return (SOMEWHERE + server.url).replace(/\/$/, "");
    return docs.serverUrl(server.url, variables);
  };

  docs.servers = function () {
    return (docs.document.servers || []).length ? docs.document.servers : [{ url: "/" }];
  };

  function serversView() {
    if (docs.config.reader || !(docs.document.servers || []).length) return null;
    const variables = h("div.variables");
    const draw = () => {
      const server = docs.servers()[select.selectedIndex];
      docs.replace(variables, Object.entries(server.variables || {}).map(([name, variable]) => {
        const id = `server-variable-${docs.slug(name)}`;
        const input = variable.enum
          ? h("select", { id }, variable.enum.map((value) => h("option", { selected: value === variable.default }, value)))
          : h("input", { id, value: variable.default });
        return h("p.field", {}, h("label", { for: id }, name), input);
      }));
    };
    const changed = () => { draw(); docs.redrawSamples(); };
    const select = h("select", { id: "server", onchange: changed }, docs.document.servers.map((server) =>
      h("option", {}, server.description ? `${server.url} – ${server.description}` : server.url)));
    draw();
    return h("div.servers", {}, h("label", { for: "server" }, "Server"), " ", select, variables);
  }

  function infoView() {
    const info = docs.document.info || {};
    const contact = info.contact || {};
    const license = info.license || {};
    const external = docs.document.externalDocs;
    const facts = [
      info.termsOfService ? docs.link(info.termsOfService, "Terms of service") : null,
      contact.url ? docs.link(contact.url, contact.name || contact.url) : null,
      contact.email ? docs.link(`mailto:${contact.email}`, contact.email) : null,
      license.name ? (license.url ? docs.link(license.url, license.name) : h("span", {}, license.name)) : null,
      external ? docs.link(external.url, external.description || external.url) : null,
      docs.config.offline ? null : h("a", { href: docs.documentUrl }, docs.config.url),
    ].filter(Boolean);
    return h("header.info", {}, h("h1", {}, info.title || "API", " ", h("small.version", {}, info.version || ""), " ",
      h("small.version", {}, `OpenAPI ${docs.document.openapi || ""}`)),
      info.summary ? h("p.summary", {}, info.summary) : null,
      info.description ? docs.markdown(info.description) : null,
      h("ul.facts", {}, facts.map((fact) => h("li", {}, fact))));
  }

  function groups(entries) {
    const byTag = new Map((docs.document.tags || []).map((tag) => [tag.name, { tag, entries: [] }]));
    for (const entry of entries) {
      for (const name of (entry.operation.tags || []).length ? entry.operation.tags : ["default"]) {
        if (!byTag.has(name)) byTag.set(name, { tag: { name }, entries: [] });
        byTag.get(name).entries.push(entry);
      }
    }
    const found = [...byTag.values()].filter((group) => group.entries.length);
    if (docs.config.tagsSorter === "alpha") found.sort((a, b) => a.tag.name.localeCompare(b.tag.name));
    for (const group of found) {
      if (docs.config.operationsSorter === "alpha") group.entries.sort((a, b) => a.path.localeCompare(b.path));
      if (docs.config.operationsSorter === "method") group.entries.sort((a, b) => a.method.localeCompare(b.method));
    }
    return found;
  }

  function anchorOf(group, entry) {
    return `/${docs.slug(group.tag.name)}/${docs.operationKey(entry)}`;
  }

  function groupView(group) {
    const external = group.tag.externalDocs;
    const content = [group.tag.description ? docs.markdown(group.tag.description) : null,
      external ? h("p", {}, docs.link(external.url, external.description || external.url)) : null,
      group.entries.map((entry) => docs.operationView(entry, { anchor: anchorOf(group, entry) }))];
    const id = `/${docs.slug(group.tag.name)}`;
    if (docs.config.reader) return h("section.group", { id, "data-group": "" }, h("h2", {}, group.tag.name), content);
    return h("details.group", { id, "data-group": "", open: docs.config.docExpansion !== "none" }, h("summary", {}, h("h2", {}, group.tag.name)), content);
  }

  function webhooksView() {
    const entries = docs.operations(docs.document.webhooks);
    if (!entries.length) return null;
    return h("section.group", { id: "/webhooks" }, h("h2", {}, "Webhooks"),
      entries.map((entry) => docs.operationView(entry, { callable: false, anchor: `/webhooks/${docs.operationKey(entry)}` })));
  }

  function modelsView() {
    const schemas = Object.keys((docs.document.components || {}).schemas || {});
    if (!schemas.length || docs.config.defaultModelsExpandDepth < 0) return null;
    return h("section.group.models", { id: "/models" }, h("h2", {}, "Schemas"),
      schemas.map((name) => h("div", { id: `/models/${docs.slug(name)}` },
        docs.schemaTree({ $ref: `#/components/schemas/${name.replace(/~/g, "~0").replace(/\//g, "~1")}` }, false))));
  }

  function follow() {
    docs.markCurrent();
    const target = location.hash.length > 1 && document.getElementById(docs.decoded(location.hash).slice(1));
    if (!target) return;
    for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    const model = target.firstElementChild;
    if (target.id.startsWith("/models/") && model && model.tagName === "DETAILS") model.open = true;
    target.scrollIntoView();
  }

  function draw(root) {
    const all = groups(docs.operations(docs.document.paths));
    const sends = !docs.config.reader && !docs.config.offline;
    const main = h("main", { id: "content", tabindex: "-1" }, infoView(), serversView(), all.map(groupView), webhooksView(), modelsView());
    for (const group of all) {
      for (const entry of group.entries) main.querySelector(`[id="${anchorOf(group, entry)}"]`).dataset.search = docs.searchText(entry);
    }
    const contents = all.length ? docs.contentsView(all, root, anchorOf) : null;
    docs.replace(root, docs.topBar(contents, sends ? docs.authorizeButton() : null), h("div.columns", {}, contents, main));
    root.removeAttribute("aria-busy");
    docs.redrawSamples();
    follow();
  }

  async function load() {
    const embedded = document.getElementById("velithon-document");
    if (embedded) return JSON.parse(embedded.textContent);
    const response = await fetch(docs.config.url, { credentials: "same-origin", headers: { accept: "application/json" } });
    if (!response.ok) throw new Error(`${docs.config.url} answered ${response.status}.`);
    return response.json();
  }

  async function start() {
    const root = document.getElementById("velithon-docs");
    docs.config = { docExpansion: "list", initOAuth: {}, ...JSON.parse(root.dataset.config) };
    docs.documentUrl = new URL(docs.config.url || "", location.href).href;
    docs.startScheme();
    try {
      docs.document = await load();
      docs.restoreAuthorization();
      draw(root);
      window.addEventListener("hashchange", follow);
    } catch (error) {
      docs.replace(root, h("p.error", { role: "alert" }, `The document could not be shown: ${error.message}`));
    }
  }

  start();
})(window.velithonDocs);
