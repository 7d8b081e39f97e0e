// Builds DOM nodes. Text only ever enters the page as text nodes: nothing here parses HTML.
"use strict";
window.velithonDocs = window.velithonDocs || {};

(function (docs) {
  // h("a.link", {href: "#x", onclick: f}, "text", node, ["more", "nodes"])
  docs.h = function (selector, attributes, ...children) {
    const [tag, ...classes] = selector.split(".");
    const node = document.createElement(tag || "div");
    if (classes.length) node.className = classes.join(" ");
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === undefined || value === null || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (name === "value" || name === "checked" || name === "selected" || name === "open") node[name] = value;
      else node.setAttribute(name, value === true ? "" : String(value));
    }
    docs.append(node, children);
    return node;
  };

  docs.append = function (node, children) {
    for (const child of children.flat(Infinity)) {
      if (child === undefined || child === null || child === false) continue;
      node.append(child instanceof Node ? child : String(child));
    }
  };

  docs.replace = function (node, ...children) {
    node.replaceChildren();
    docs.append(node, children);
  };

  // What a browser keeps between visits; one that keeps nothing is as good.
  docs.remembered = function (key) {
    try {
      return localStorage.getItem(key);
    } catch (error) {
      return null;
    }
  };

  docs.remember = function (key, value) {
    try {
      localStorage.setItem(key, value);
    } catch (error) {
      // The choice holds for this visit.
    }
  };

  let counter = 0;
  docs.uniqueId = function (stem) {
    counter += 1;
    return `${stem}-${counter}`;
  };

  docs.slug = function (text) {
    return String(text).replace(/[^\p{L}\p{M}\p{N}_-]+/gu, "_");
  };

  // A link that the document names: no address of it may run code.
  docs.link = function (url, text) {
    return docs.h("a", { href: /^(https?:|mailto:|\/)/i.test(url) ? url : null, rel: "noreferrer" }, text);
  };

  // Somebody may have typed a lone percent sign.
  docs.decoded = function (text) {
    try {
      return decodeURIComponent(text);
    } catch (error) {
      return text;
    }
  };

  // Descriptions are Markdown. What descriptions mostly use is drawn: paragraphs, headings, lists, code, tables left as
  // text, **strong**, *emphasis*, `code` and links to http(s), mailto and in-page targets. Raw HTML stays visible text.
  const INLINE = /(`[^`]+`)|(\*\*[^*]+\*\*)|(\*[^*\s][^*]*\*)|(\[[^\]]+\]\([^)\s]+\))/;

  function safeLink(target) {
    return /^(https?:|mailto:|\/|#)/i.test(target) && !target.startsWith("//");
  }

  function inline(text) {
    const nodes = [];
    let rest = text;
    for (let match = INLINE.exec(rest); match; match = INLINE.exec(rest)) {
      if (match.index) nodes.push(rest.slice(0, match.index));
      const piece = match[0];
      if (match[1]) nodes.push(docs.h("code", {}, piece.slice(1, -1)));
      else if (match[2]) nodes.push(docs.h("strong", {}, inline(piece.slice(2, -2))));
      else if (match[3]) nodes.push(docs.h("em", {}, inline(piece.slice(1, -1))));
      else {
        const [, label, target] = /^\[([^\]]+)\]\(([^)]+)\)$/.exec(piece);
        nodes.push(safeLink(target) ? docs.h("a", { href: target, rel: "noreferrer" }, label) : piece);
      }
      rest = rest.slice(match.index + piece.length);
    }
    nodes.push(rest);
    return nodes;
  }

  function list(lines, ordered) {
    const items = [];
    for (const line of lines) {
      const item = /^\s*(?:[-*+]|\d+[.)])\s+(.*)$/.exec(line);
      if (item) items.push([item[1]]);
      else if (items.length) items[items.length - 1].push(line.trim());
    }
    return docs.h(ordered ? "ol" : "ul", {}, items.map((item) => docs.h("li", {}, inline(item.join(" ")))));
  }

  docs.markdown = function (text) {
    const box = docs.h("div.markdown");
    const blocks = String(text || "").replace(/\r\n?/g, "\n").split(/(```[^\n]*\n[\s\S]*?(?:\n```|$))/);
    for (const block of blocks) {
      if (block.startsWith("```")) {
        box.append(docs.h("pre", { tabindex: "0" }, docs.h("code", {}, block.replace(/^```[^\n]*\n/, "").replace(/\n```$/, ""))));
        continue;
      }
      for (const paragraph of block.split(/\n\s*\n/)) {
        const lines = paragraph.split("\n").filter((line) => line.trim());
        if (!lines.length) continue;
        const heading = /^(#{1,6})\s+(.*)$/.exec(lines[0].trim());
        if (heading) {
          // The page's own outline ends at h3, so a description's headings begin below it.
          box.append(docs.h(`h${Math.min(6, heading[1].length + 3)}`, {}, inline(heading[2])));
          lines.shift();
        }
        if (!lines.length) continue;
        if (/^\s*[-*+]\s+/.test(lines[0])) box.append(list(lines, false));
        else if (/^\s*\d+[.)]\s+/.test(lines[0])) box.append(list(lines, true));
        else box.append(docs.h("p", {}, inline(lines.map((line) => line.trim()).join("\n"))));
      }
    }
    return box;
  };
})(window.velithonDocs);
