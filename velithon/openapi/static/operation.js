// One operation: what it takes and answers, and the form that sends it.
"use strict";

(function (docs) {
  const { h } = docs;
  const FORMS = ["application/x-www-form-urlencoded", "multipart/form-data"];

  function control(schema, label, initial) {
    const kind = docs.kindOf(schema);
    const target = docs.resolve(schema);
    const attributes = { "aria-label": label, disabled: true };
    const choices = target.enum || (kind === "boolean" ? [true, false] : null);
    if (kind === "file") return h("input", { ...attributes, type: "file" });
    if (kind === "array" && docs.kindOf(target.items || {}) === "file") return h("input", { ...attributes, type: "file", multiple: true });
    if (choices && kind !== "array") {
      return h("select", attributes, h("option", { value: "" }, "–"),
        choices.map((choice) => h("option", { value: String(choice), selected: choice === initial }, String(choice))));
    }
    if (kind === "array") {
      const text = Array.isArray(initial) ? initial.map((item) => (typeof item === "string" ? item : JSON.stringify(item))).join("\n") : "";
      return h("textarea", { ...attributes, rows: 3, placeholder: "one value per line", value: text });
    }
    if (kind === "object") return h("textarea", { ...attributes, rows: 4, placeholder: "JSON", value: initial === undefined ? "" : docs.asText(initial) });
    return h("input", { ...attributes, type: "text", value: initial === undefined || initial === null ? "" : String(initial) });
  }

  function initialValue(parameter) {
    if (parameter.example !== undefined) return parameter.example;
    const named = Object.values(parameter.examples || {}).map((example) => docs.resolve(example)).find((example) => "value" in example);
    if (named) return named.value;
    const schema = docs.resolve(docs.schemaOf(parameter));
    if (schema.example !== undefined) return schema.example;
    if (Array.isArray(schema.examples) && schema.examples.length) return schema.examples[0];
    return schema.default;
  }

  function row(name, place, required, schema, description, deprecated, input) {
    return h("tr", {},
      h("th", { scope: "row" }, h("code.name", {}, name), required ? h("span.required", {}, " required") : null,
        h("div.place", {}, place), deprecated ? h("div.deprecated", {}, "deprecated") : null),
      h("td", {}, h("div.type", {}, docs.typeLabel(schema), " ", docs.limits(docs.resolve(schema)).map((text) => h("span.limit", {}, text))),
        description ? docs.markdown(description) : null, input));
  }

  function parametersView(entry, state) {
    if (!entry.parameters.length) return null;
    const rows = entry.parameters.map((parameter) => {
      const schema = docs.schemaOf(parameter);
      const input = docs.config.reader ? null : control(schema, `${parameter.name} (${parameter.in})`, initialValue(parameter));
      state.parameters.push({ parameter, input });
      return row(parameter.name, parameter.in, parameter.required, schema, parameter.description, parameter.deprecated, input);
    });
    return h("section", {}, h("h4", {}, "Parameters"), h("table", {}, h("tbody", {}, rows)));
  }

  function formFields(media, state) {
    const schema = docs.resolve(media.schema);
    const example = docs.mediaExample(media) || {};
    const rows = Object.entries(schema.properties || {}).map(([name, property]) => {
      const required = (schema.required || []).includes(name);
      const initial = required || docs.resolve(property).default !== undefined ? example[name] : undefined;
      const input = docs.config.reader ? null : control(property, `${name} (form)`, docs.kindOf(property) === "file" ? undefined : initial);
      state.fields.push({ name, schema: property, input, initial });
      return row(name, "form", required, property, docs.resolve(property).description, docs.resolve(property).deprecated, input);
    });
    return h("table", {}, h("tbody", {}, rows));
  }

  function bodyContent(mediaType, media, state) {
    state.mediaType = mediaType;
    state.fields = [];
    state.body = null;
    state.example = "";
    if (FORMS.includes(mediaType)) return formFields(media, state);
    const parts = [docs.schemaTree(media.schema || {})];
    if (docs.kindOf(media.schema || {}) !== "file") state.example = docs.asText(docs.mediaExample(media));
    if (docs.config.reader) parts.push(exampleView(media, "Example"));
    else if (docs.kindOf(media.schema || {}) === "file") state.body = h("input", { type: "file", disabled: !state.active, "aria-label": "request body" });
    else {
      const text = docs.asText(docs.mediaExample(media));
      state.body = h("textarea.body", { disabled: !state.active, "aria-label": "request body", spellcheck: "false",
        rows: Math.min(20, text.split("\n").length + 1), value: text });
      parts.push(examplesSelect(media, (value) => {
        state.body.value = docs.asText(value);
        state.body.dispatchEvent(new Event("input", { bubbles: true }));
      }));
    }
    if (state.body) parts.push(state.body);
    return parts;
  }

  function bodyView(entry, state) {
    const body = docs.resolve(entry.operation.requestBody);
    const contents = Object.entries((body && body.content) || {});
    if (!contents.length) return null;
    const box = h("div");
    const show = (index) => {
      docs.replace(box, bodyContent(contents[index][0], contents[index][1], state));
      state.enable(state.active);
      state.redraw();
    };
    const select = h("select", { "aria-label": "request content type", onchange: () => show(select.selectedIndex) },
      contents.map(([mediaType]) => h("option", {}, mediaType)));
    show(0);
    return h("section", {}, h("h4", {}, "Request body", body.required ? h("span.required", {}, " required") : null, " ", select),
      body.description ? docs.markdown(body.description) : null, box);
  }

  function sample(text, label) {
    return h("figure", {}, h("figcaption", {}, label), h("pre", { tabindex: "0", "aria-label": label }, h("code", {}, text)));
  }

  // Named examples (`examples` of the media type) are chosen by their names.
  function examplesSelect(media, show) {
    const named = Object.entries(media.examples || {}).map(([name, example]) => [name, docs.resolve(example)]).filter(([, example]) => "value" in example);
    if (named.length < 2) return null;
    const select = h("select", { "aria-label": "example", onchange: () => show(named[select.selectedIndex][1].value) },
      named.map(([name, example]) => h("option", {}, example.summary || name)));
    return select;
  }

  function exampleView(media, label) {
    const figure = sample(docs.asText(docs.mediaExample(media)), label);
    const code = figure.querySelector("code");
    const select = examplesSelect(media, (value) => docs.replace(code, docs.asText(value)));
    if (select) figure.querySelector("figcaption").append(" ", select);
    return figure;
  }

  function responseRow([status, answer]) {
    const response = docs.resolve(answer);
    const contents = Object.entries(response.content || {}).map(([mediaType, media]) => h("div.media", {}, h("div.place", {}, mediaType),
      docs.schemaTree(media.schema || media.itemSchema || {}, false), exampleView(media, "Example value")));
    const headers = Object.entries(response.headers || {}).map(([name, header]) =>
      h("li", {}, h("code", {}, name), " ", h("span.type", {}, docs.typeLabel(docs.schemaOf(docs.resolve(header)))), " ", docs.resolve(header).description));
    return h("tr", {}, h("th", { scope: "row" }, h("code", {}, status)),
      h("td", {}, docs.markdown(response.description), headers.length ? h("ul", {}, headers) : null, contents));
  }

  function responsesView(entry) {
    const rows = Object.entries(entry.operation.responses || {}).map(responseRow);
    return h("section", {}, h("h4", {}, "Responses"), h("table", {}, h("tbody", {}, rows)));
  }

  function callbacksView(entry) {
    const callbacks = Object.entries(entry.operation.callbacks || {}).map(([name, callback]) =>
      h("div", {}, h("h5", {}, name), docs.operations(docs.resolve(callback)).map((inner) => docs.operationView(inner, { callable: false }))));
    return callbacks.length ? h("section", {}, h("h4", {}, "Callbacks"), callbacks) : null;
  }

  function collect(state) {
    const values = { parameters: state.parameters.map(({ parameter, input }) => ({ parameter, text: input.value })) };
    const missing = values.parameters.find(({ parameter, text }) => parameter.required && text === "");
    if (missing) throw new Error(`${missing.parameter.name} (${missing.parameter.in}) is required.`);
    values.mediaType = state.mediaType;
    values.fields = state.fields.map(({ name, schema, input }) => ({ name, schema, text: input.value, files: input.type === "file" ? [...input.files] : null }));
    if (state.body) values.text = state.body.value;
    if (state.body && state.body.type === "file") values.file = state.body.files[0];
    values.accept = accepted(state.entry);
    return values;
  }

  function shown(value) {
    if (value === undefined || value === null) return "";
    if (Array.isArray(value)) return value.map((item) => (typeof item === "string" ? item : JSON.stringify(item))).join("\n");
    return typeof value === "object" ? JSON.stringify(value) : String(value);
  }

  // As `collect`, of whatever has been typed so far; where there is no form, of the examples.
  function sampleRequest(state) {
    const values = { isSample: true, mediaType: state.mediaType };
    values.parameters = state.parameters.map(({ parameter, input }) => ({ parameter, text: input ? input.value : shown(initialValue(parameter)) }));
    values.fields = state.fields.map(({ name, schema, input, initial }) => {
      const isFile = docs.kindOf(schema) === "file" || (docs.kindOf(schema) === "array" && docs.kindOf(docs.resolve(schema).items || {}) === "file");
      const chosen = input && input.files ? [...input.files] : [];
      const files = isFile ? (chosen.length ? chosen : [new File([], "file")]) : null;
      return { name, schema, text: input ? input.value : shown(initial), files };
    });
    if (state.body && state.body.type === "file") values.file = state.body.files[0] || new File([], "body");
    else if (state.body) values.text = state.body.value;
    else values.text = state.example;
    values.accept = accepted(state.entry);
    return docs.buildRequest(state.entry, values, docs.currentServer());
  }

  function accepted(entry) {
    const success = Object.entries(entry.operation.responses || {}).find(([status]) => status.startsWith("2"));
    return Object.keys((success && docs.resolve(success[1]).content) || {}).join(", ") || "application/json";
  }

  function pretty(text, type) {
    if (!/json/i.test(type) || /jsonl|ndjson/i.test(type)) return text;
    try {
      return JSON.stringify(JSON.parse(text), null, 2);
    } catch (error) {
      return text;
    }
  }

  async function answerBody(response, code) {
    const type = response.headers.get("content-type") || "";
    if (/^(image|audio|video|application\/(octet-stream|zip|pdf))/i.test(type)) {
      const blob = await response.blob();
      code.replaceChildren(h("a", { href: URL.createObjectURL(blob), download: "response" }, `Download ${blob.size} bytes (${type})`));
      return;
    }
    // Read as it comes: an event stream shows each event when it is sent.
    const reader = response.body ? response.body.getReader() : null;
    const decoder = new TextDecoder();
    let text = "";
    for (let chunk = reader && await reader.read(); chunk && !chunk.done; chunk = await reader.read()) {
      text += decoder.decode(chunk.value, { stream: true });
      code.textContent = text;
    }
    code.textContent = pretty(text, type);
  }

  async function execute(state, output) {
    let request;
    try {
      request = docs.buildRequest(state.entry, collect(state), docs.currentServer());
    } catch (error) {
      docs.replace(output, h("p.error", { role: "alert" }, error.message));
      return;
    }
    const status = h("p.answer-status", { role: "status" }, "Waiting for the answer…");
    const headers = h("code");
    const code = h("code.answer-body");
    docs.replace(output, sample(docs.curl(request), "Curl"), sample(request.url, "Request URL"), h("h4", {}, "Server response"), status,
      h("figure", {}, h("figcaption", {}, "Response body"), h("pre", { tabindex: "0" }, code)),
      h("figure", {}, h("figcaption", {}, "Response headers"), h("pre", { tabindex: "0" }, headers)));
    state.abort = new AbortController();
    const started = performance.now();
    try {
      const response = await docs.send(request, state.abort.signal);
      const took = docs.config.displayRequestDuration ? ` in ${Math.round(performance.now() - started)} ms` : "";
      docs.replace(status, h("code.status-code", {}, response.status), ` ${response.statusText}${took}`);
      headers.textContent = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
      await answerBody(response, code);
    } catch (error) {
      docs.replace(status, h("span.error", {}, error.name === "AbortError" ? "Cancelled." : `No answer: ${error.message}`));
    }
  }

  function tryItOut(entry, state) {
    const output = h("div.output");
    const run = h("button.primary.execute", { type: "button", hidden: true, onclick: () => execute(state, output) }, "Execute");
    const clear = h("button", { type: "button", hidden: true, onclick: () => { if (state.abort) state.abort.abort(); output.replaceChildren(); } }, "Clear");
    const toggle = h("button.try-out", { type: "button", "aria-pressed": "false", onclick: () => state.enable(!state.active) });
    state.enable = (active) => {
      state.active = active;
      for (const { input } of state.parameters.concat(state.fields)) if (input) input.disabled = !active;
      if (state.body) state.body.disabled = !active;
      run.hidden = clear.hidden = !active;
      toggle.setAttribute("aria-pressed", String(active));
      docs.replace(toggle, active ? "Cancel" : "Try it out");
    };
    return { bar: h("div.bar", {}, toggle), actions: h("div.actions", {}, run, clear), output };
  }

  function submittable(entry, callable) {
    if (docs.config.reader || callable === false || docs.config.offline) return false;
    const methods = docs.config.supportedSubmitMethods;
    return !methods || methods.includes(entry.method);
  }

  function details(entry, callable, anchor) {
    const state = { entry, parameters: [], fields: [], body: null, example: "", active: false, enable: () => {}, redraw: () => {} };
    const operation = entry.operation;
    const form = submittable(entry, callable) ? tryItOut(entry, state) : null;
    const external = operation.externalDocs;
    const content = h("div.details", {},
      operation.description ? docs.markdown(operation.description) : null,
      external ? h("p", {}, docs.link(external.url, external.description || external.url)) : null,
      form && form.bar, parametersView(entry, state), bodyView(entry, state), form && form.actions, form && form.output);
    if (callable) {
      const samples = docs.samplesView(() => sampleRequest(state));
      state.redraw = samples.draw;
      content.addEventListener("input", samples.draw);
      content.addEventListener("change", samples.draw);
      content.append(samples.view);
    }
    docs.append(content, [responsesView(entry), callbacksView(entry),
      anchor ? h("p.permalink", {}, h("a", { href: `#${anchor}` }, "Link to this operation")) : null]);
    state.enable(Boolean(form && docs.config.tryItOutEnabled));
    return content;
  }

  docs.operationView = function (entry, { callable = true, anchor = undefined } = {}) {
    const operation = entry.operation;
    const title = [h("span.method", {}, entry.method.toUpperCase()), " ", h("code.path", {}, entry.path), " ",
      h("span.summary", {}, operation.summary || ""),
      docs.config.displayOperationId ? h("code.operation-id", {}, ` ${operation.operationId || ""}`) : null,
      docs.isProtected(operation) ? h("span.lock", {}, " needs authorization") : null,
      operation.deprecated ? h("span.deprecated", {}, " deprecated") : null];
    const classes = `operation.${entry.method}${operation.deprecated ? ".is-deprecated" : ""}`;
    if (docs.config.reader) {
      return h(`article.${classes}`, { id: anchor }, h("h3", {}, title), details(entry, callable, anchor));
    }
    const box = h(`details.${classes}`, { id: anchor, open: docs.config.docExpansion === "full" }, h("summary", {}, h("h3", {}, title)));
    const fill = () => {
      if (!box.querySelector(":scope > .details")) box.append(details(entry, callable, anchor));
    };
    if (box.open) fill();
    box.addEventListener("toggle", () => {
      if (box.open) fill();
      if (box.open && anchor && docs.config.deepLinking) {
        history.replaceState(null, "", `#${anchor}`);
        docs.markCurrent();
      }
    });
    return box;
  };
})(window.velithonDocs);
