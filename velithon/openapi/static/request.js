// Turns the values of a form into a request: URL, headers, body; and the same request as a curl command.
"use strict";

(function (docs) {
  docs.schemaOf = function (parameter) {
    if (parameter.schema) return parameter.schema;
    const media = Object.values(parameter.content || {})[0];
    return (media && media.schema) || {};
  };

  docs.kindOf = function (schema) {
    const target = docs.resolve(schema);
    const choices = (target.anyOf || target.oneOf || target.allOf || []).map((choice) => docs.kindOf(choice));
    if (choices.includes("file")) return "file";
    if (choices.includes("array")) return "array";
    if (choices.includes("object")) return "object";
    if (choices.length) return choices.find((kind) => kind !== "null") || "string";
    if (target.type === "array") return "array";
    if (target.type === "object" || target.properties) return "object";
    if (target.format === "binary" || target.contentMediaType === "application/octet-stream") return "file";
    if (target.type === "null") return "null";
    return Array.isArray(target.type) ? target.type.find((type) => type !== "null") : target.type || "string";
  };

  function lines(text) {
    return text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  }

  docs.serverUrl = function (template, variables) {
    const url = template.replace(/\{([^}]+)\}/g, (whole, name) => (name in variables ? variables[name] : whole));
    return new URL(url, docs.documentUrl).href.replace(/\/$/, "");
  };

  function addParameter(request, parameter, text) {
    const kind = docs.kindOf(docs.schemaOf(parameter));
    const values = kind === "array" ? lines(text) : [text];
    if (parameter.in === "path") {
      request.path = request.path.split(`{${parameter.name}}`).join(values.map(encodeURIComponent).join(","));
    } else if (parameter.in === "query") {
      if (kind === "object" && !parameter.content) {
        const prefix = parameter.style === "deepObject" ? parameter.name : null;
        for (const [key, value] of Object.entries(JSON.parse(text))) {
          request.query.append(prefix ? `${prefix}[${key}]` : key, typeof value === "string" ? value : JSON.stringify(value));
        }
      } else if (parameter.explode === false) request.query.append(parameter.name, values.join(","));
      else values.forEach((value) => request.query.append(parameter.name, value));
    } else if (parameter.in === "header") {
      request.headers[parameter.name] = values.join(",");
    } else if (parameter.in === "cookie") {
      request.cookies[parameter.name] = values.join(",");
    }
  }

  function urlencoded(fields) {
    const body = new URLSearchParams();
    for (const { name, schema, text } of fields) {
      if (text === "" || text === undefined) continue;
      (docs.kindOf(schema) === "array" ? lines(text) : [text]).forEach((value) => body.append(name, value));
    }
    return body;
  }

  function multipart(fields) {
    const body = new FormData();
    for (const { name, schema, text, files } of fields) {
      if (files) for (const file of files) body.append(name, file);
      else if (text !== "" && text !== undefined) {
        (docs.kindOf(schema) === "array" ? lines(text) : [text]).forEach((value) => body.append(name, value));
      }
    }
    return body;
  }

  // values: {parameters: [{parameter, text}], mediaType, text | fields | file, accept, isSample}
  docs.buildRequest = function (entry, values, server) {
    const request = { method: entry.method.toUpperCase(), path: entry.path, query: new URLSearchParams(), headers: {}, cookies: {} };
    for (const { parameter, text } of values.parameters) {
      // What a sample lacks in its path stays the name in braces.
      if (text !== "" || (parameter.in === "path" && !values.isSample)) addParameter(request, parameter, text);
    }
    if (values.accept) request.headers.accept = values.accept;
    if (values.mediaType) {
      if (values.mediaType === "multipart/form-data") request.body = multipart(values.fields);
      else if (values.mediaType === "application/x-www-form-urlencoded") request.body = urlencoded(values.fields);
      else if (values.file) request.body = values.file;
      else if (values.text !== "") request.body = values.text;
      // The browser writes a multipart request's header itself: only it knows the boundary.
      if (request.body !== undefined && values.mediaType !== "multipart/form-data") {
        request.headers["content-type"] = values.mediaType;
      }
    }
    docs.authorizeRequest(request, entry.operation, values.isSample);
    const query = request.query.toString();
    request.url = server + request.path + (query ? `?${query}` : "");
    return request;
  };

  function quoted(text) {
    return `'${String(text).replace(/'/g, "'\\''")}'`;
  }

  docs.curl = function (request) {
    const parts = [`curl -X ${quoted(request.method)}`, `  ${quoted(request.url)}`];
    for (const [name, value] of Object.entries(request.headers)) parts.push(`  -H ${quoted(`${name}: ${value}`)}`);
    const cookies = Object.entries(request.cookies).map(([name, value]) => `${name}=${value}`).join("; ");
    if (cookies) parts.push(`  -b ${quoted(cookies)}`);
    if (request.body instanceof FormData) {
      for (const [name, value] of request.body) parts.push(`  -F ${quoted(value instanceof File ? `${name}=@${value.name}` : `${name}=${value}`)}`);
    } else if (request.body instanceof Blob) parts.push(`  --data-binary ${quoted(`@${request.body.name || "body"}`)}`);
    else if (request.body !== undefined) parts.push(`  -d ${quoted(request.body)}`);
    return parts.join(" \\\n");
  };

  docs.send = async function (request, signal) {
    // A script cannot write the Cookie header: the page's own cookies are what the browser sends.
    for (const [name, value] of Object.entries(request.cookies)) {
      document.cookie = `${name}=${encodeURIComponent(value)}; path=/; SameSite=Strict`;
    }
    const hasBody = !["GET", "HEAD"].includes(request.method);
    return fetch(request.url, {
      method: request.method, headers: request.headers, body: hasBody ? request.body : undefined, signal,
      credentials: docs.config.withCredentials ? "include" : "same-origin",
    });
  };
})(window.velithonDocs);
