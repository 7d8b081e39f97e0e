// The bar at the top, the contents beside the operations with their search, and the switch between light and dark.
"use strict";

(function (docs) {
  const { h } = docs;
  const SCHEME = "velithon.docs.scheme";
  const SCHEMES = ["auto", "light", "dark"];

  function showScheme(scheme) {
    if (scheme === "auto") delete document.documentElement.dataset.scheme;
    else document.documentElement.dataset.scheme = scheme;
  }

  docs.startScheme = function () {
    const kept = docs.remembered(SCHEME);
    showScheme(SCHEMES.includes(kept) ? kept : "auto");
  };

  function schemeSwitch() {
    const button = h("button.scheme-switch", { type: "button", onclick: () => {
      const next = SCHEMES[(SCHEMES.indexOf(current()) + 1) % SCHEMES.length];
      docs.remember(SCHEME, next);
      showScheme(next);
      draw();
    } });
    const current = () => document.documentElement.dataset.scheme || "auto";
    const draw = () => {
      docs.replace(button, h("span.wide", {}, "Colours: "), current());
      button.setAttribute("aria-label", `Colours: ${current()}`);
    };
    draw();
    return button;
  }

  // On a phone the contents are folded; this unfolds them.
  function contentsButton(contents) {
    const button = h("button.contents-open", { type: "button", "aria-expanded": "false", "aria-controls": contents.id, onclick: () => {
      const open = contents.classList.toggle("is-open");
      button.setAttribute("aria-expanded", String(open));
    } }, "Contents");
    contents.addEventListener("click", (event) => {
      if (event.target.closest("a") && contents.classList.contains("is-open")) button.click();
    });
    return button;
  }

  docs.topBar = function (contents, tools) {
    const title = (docs.document.info || {}).title || "API";
    return h("header.top", {}, h("a.skip", { href: "#content" }, "Skip to the operations"),
      contents ? contentsButton(contents) : null, h("a.brand", { href: "#content" }, title), h("div.top-tools", {}, schemeSwitch(), tools));
  };

  docs.searchText = function (entry) {
    const operation = entry.operation;
    return [entry.method, entry.path, operation.summary, operation.operationId, operation.description, ...(operation.tags || []),
      ...entry.parameters.map((parameter) => parameter.name)].filter(Boolean).join(" ").toLowerCase();
  };

  function search(root) {
    const count = h("p.count", { role: "status" });
    const apply = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      const fits = (node) => words.every((word) => node.dataset.search.includes(word));
      for (const node of root.querySelectorAll("[data-search]")) node.hidden = !fits(node);
      for (const group of root.querySelectorAll("[data-group]")) {
        group.hidden = words.length > 0 && !group.querySelector("[data-search]:not([hidden])");
      }
      const items = [...root.querySelectorAll(".contents li[data-search]")];
      docs.replace(count, words.length ? `${items.filter((item) => !item.hidden).length} of ${items.length} operations` : "");
    };
    const input = h("input.filter", { type: "search", placeholder: "Search ( / )", "aria-label": "Search operations", oninput: apply,
      value: typeof docs.config.filter === "string" ? docs.config.filter : "" });
    document.addEventListener("keydown", (event) => {
      const typing = /^(input|textarea|select)$/i.test(event.target.tagName || "");
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      const button = root.querySelector(".contents-open[aria-expanded=false]");
      if (button && button.offsetParent) button.click();
      input.focus();
    });
    queueMicrotask(apply);
    return [input, count];
  }

  docs.contentsView = function (groups, root, anchorOf) {
    const models = Object.keys((docs.document.components || {}).schemas || {});
    return h("nav.contents", { id: "contents", "aria-label": "Operations" }, search(root), groups.map((group) => h("div", { "data-group": "" },
      h("h2", {}, h("a", { href: `#/${docs.slug(group.tag.name)}` }, group.tag.name)),
      h("ul", {}, group.entries.map((entry) => h("li", { "data-search": docs.searchText(entry) },
        h("a", { href: `#${anchorOf(group, entry)}`, title: `${entry.method.toUpperCase()} ${entry.path}` },
          h(`span.method.${entry.method}`, {}, entry.method.toUpperCase()), " ", entry.operation.summary || entry.path)))))),
    models.length && docs.config.defaultModelsExpandDepth !== -1 ? h("h2", {}, h("a", { href: "#/models" }, "Schemas")) : null);
  };

  // What the address names is marked in the contents.
  docs.markCurrent = function () {
    for (const link of document.querySelectorAll(".contents a")) {
      if (link.getAttribute("href") === docs.decoded(location.hash)) link.setAttribute("aria-current", "location");
      else link.removeAttribute("aria-current");
    }
  };
})(window.velithonDocs);
