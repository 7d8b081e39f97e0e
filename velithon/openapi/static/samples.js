// Shows an operation's request as code, with the values of its form: curl, JavaScript, Python.
"use strict";

(function (docs) {
  const { h } = docs;
  const indent = "  ";

  function parsed(text) {
    try {
      return JSON.parse(text);
    } catch (error) {
      return undefined;
    }
  }

  // A value as a literal of Python, whose strings JSON's are.
  function python(value, depth = 0) {
    if (value === null) return "None";
    if (value === true) return "True";
    if (value === false) return "False";
    if (typeof value !== "object") return JSON.stringify(value);
    const isList = Array.isArray(value);
    const items = isList ? value.map((item) => python(item, depth + 2))
      : Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${python(item, depth + 2)}`);
    const [open, close] = isList ? "[]" : "{}";
    if (!items.length) return open + close;
    const inner = indent.repeat(depth + 2);
    return `${open}\n${items.map((item) => `${inner}${item},\n`).join("")}${indent.repeat(depth)}${close}`;
  }

  function jsonOf(request) {
    const type = request.headers["content-type"] || "";
    return typeof request.body === "string" && /json/i.test(type) ? parsed(request.body) : undefined;
  }

  function javascript(request) {
    const options = [`method: ${JSON.stringify(request.method)}`];
    const lines = [];
    const value = jsonOf(request);
    if (Object.keys(request.headers).length) {
      options.push(`headers: ${JSON.stringify(request.headers, null, 2).replace(/\n/g, "\n  ")}`);
    }
    if (Object.keys(request.cookies).length) {
      lines.push(`// The browser sends its own cookies: ${Object.keys(request.cookies).join(", ")}.`);
      options.push('credentials: "include"');
    }
    if (value !== undefined) options.push(`body: JSON.stringify(${JSON.stringify(value, null, 2).replace(/\n/g, "\n  ")})`);
    else if (request.body instanceof URLSearchParams) {
      options.push(`body: new URLSearchParams(${JSON.stringify([...request.body])})`);
    } else if (request.body instanceof FormData) {
      lines.push("const form = new FormData();");
      for (const [name, item] of request.body) {
        const given = item instanceof File ? "fileInput.files[0]" : JSON.stringify(item);
        lines.push(`form.append(${JSON.stringify(name)}, ${given});`);
      }
      options.push("body: form");
    } else if (request.body instanceof Blob) options.push("body: fileInput.files[0]");
    else if (request.body !== undefined) options.push(`body: ${JSON.stringify(request.body)}`);
    lines.push(`const response = await fetch(${JSON.stringify(request.url)}, {`, ...options.map((option) => `  ${option},`), "});",
      "console.log(response.status, await response.text());");
    return lines.join("\n");
  }

  function pythonForm(fields) {
    const values = {};
    for (const [name, item] of fields) {
      if (name in values) values[name] = [].concat(values[name], item);
      else values[name] = item;
    }
    return python(values, 2);
  }

  function pythonCode(request) {
    const value = jsonOf(request);
    const headers = { ...request.headers };
    const options = [];
    if (value !== undefined) {
      delete headers["content-type"]; // which json= writes
      options.push(`json=${python(value, 2)}`);
    } else if (request.body instanceof URLSearchParams) {
      delete headers["content-type"];
      options.push(`data=${pythonForm(request.body)}`);
    } else if (request.body instanceof FormData) {
      const entries = [...request.body];
      const texts = entries.filter(([, item]) => !(item instanceof File));
      const files = entries.filter(([, item]) => item instanceof File);
      if (texts.length) options.push(`data=${pythonForm(texts)}`);
      options.push(`files=[${files.map(([name, item]) => `(${JSON.stringify(name)}, open(${JSON.stringify(item.name)}, "rb"))`).join(", ")}]`);
    } else if (request.body instanceof Blob) options.push(`content=open(${JSON.stringify(request.body.name || "body")}, "rb")`);
    else if (request.body !== undefined) options.push(`content=${python(request.body)}`);
    if (Object.keys(headers).length) options.unshift(`headers=${python(headers, 2)}`);
    if (Object.keys(request.cookies).length) options.push(`cookies=${python(request.cookies, 2)}`);
    return ["import httpx", "", "response = httpx.request(", `    ${JSON.stringify(request.method)},`, `    ${JSON.stringify(request.url)},`,
      ...options.map((option) => `    ${option},`), ")", "print(response.status_code, response.text)"].join("\n");
  }

  const LANGUAGES = { curl: (request) => docs.curl(request), JavaScript: javascript, Python: pythonCode };
  const STORE = "velithon.docs.language";
  const drawings = new Set();
  let language = docs.remembered(STORE);
  if (!(language in LANGUAGES)) language = "curl";

  // The language is chosen for the whole page.
  function choose(name) {
    language = name;
    docs.remember(STORE, name);
    for (const draw of drawings) draw();
  }

  docs.copyButton = function (text, label) {
    const button = h("button.copy", { type: "button", "aria-label": label, onclick: async () => {
      try {
        await navigator.clipboard.writeText(text());
        docs.replace(button, "Copied");
      } catch (error) {
        docs.replace(button, "Not allowed");
      }
      setTimeout(() => docs.replace(button, "Copy"), 2000);
    } }, "Copy");
    return button;
  };

  // `request()` returns what the form says at the moment, or throws what is wrong with it.
  docs.samplesView = function (request) {
    const code = h("code");
    const buttons = Object.keys(LANGUAGES).map((name) => h("button.language", { type: "button", onclick: () => choose(name) }, name));
    const draw = () => {
      for (const button of buttons) button.setAttribute("aria-pressed", String(button.textContent === language));
      try {
        code.textContent = LANGUAGES[language](request());
      } catch (error) {
        code.textContent = `The values do not make a request: ${error.message}`;
      }
    };
    drawings.add(draw);
    draw();
    const view = h("section.samples", {}, h("h4", {}, "Code"),
      h("div.languages", { role: "group", "aria-label": "Language of the code" }, buttons, docs.copyButton(() => code.textContent, "Copy the code")),
      h("pre", { tabindex: "0", "aria-label": "Code that sends this request" }, code));
    return { view, draw };
  };

  docs.redrawSamples = function () {
    for (const draw of drawings) draw();
  };
})(window.velithonDocs);
