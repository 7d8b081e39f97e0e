// Reads the document: references, operations, a word for a type, an example value, a tree of properties.
"use strict";

(function (docs) {
  const { h } = docs;
  const METHODS = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

  docs.resolve = function (value, depth = 0) {
    if (!value || typeof value.$ref !== "string" || depth > 20) return value || {};
    if (!value.$ref.startsWith("#/")) return value;
    let target = docs.document;
    for (const part of value.$ref.slice(2).split("/")) {
      const key = decodeURIComponent(part).replace(/~1/g, "/").replace(/~0/g, "~");
      target = target === undefined || target === null ? undefined : target[key];
    }
    return docs.resolve(target, depth + 1);
  };

  docs.refName = function (schema) {
    return schema && typeof schema.$ref === "string" ? schema.$ref.split("/").pop() : null;
  };

  docs.operations = function (paths) {
    const found = [];
    for (const [path, item] of Object.entries(paths || {})) {
      const shared = docs.resolve(item);
      for (const method of METHODS) {
        const operation = shared[method];
        if (!operation) continue;
        const own = (operation.parameters || []).map((parameter) => docs.resolve(parameter));
        const inherited = (shared.parameters || [])
          .map((parameter) => docs.resolve(parameter))
          .filter((parameter) => !own.some((other) => other.name === parameter.name && other.in === parameter.in));
        found.push({ path, method, operation, parameters: inherited.concat(own) });
      }
    }
    return found;
  };

  docs.operationKey = function (entry) {
    return docs.slug(entry.operation.operationId || `${entry.method}_${entry.path}`);
  };

  docs.typeLabel = function (schema, depth = 0) {
    if (schema === true || schema === undefined) return "any";
    if (schema === false) return "never";
    const name = docs.refName(schema);
    if (name) return name;
    if (depth > 6) return "…";
    for (const key of ["anyOf", "oneOf", "allOf"]) {
      if (schema[key]) {
        return schema[key].map((choice) => docs.typeLabel(choice, depth + 1)).join(key === "allOf" ? " & " : " | ");
      }
    }
    if (schema.const !== undefined) return JSON.stringify(schema.const);
    if (schema.enum) return schema.enum.map((choice) => JSON.stringify(choice)).join(" | ");
    if (schema.type === "array") {
      if (schema.prefixItems) return `[${schema.prefixItems.map((item) => docs.typeLabel(item, depth + 1)).join(", ")}]`;
      return `array of ${docs.typeLabel(schema.items, depth + 1)}`;
    }
    if (schema.type === "object" && schema.additionalProperties && !schema.properties) {
      return `map of ${docs.typeLabel(schema.additionalProperties, depth + 1)}`;
    }
    const type = Array.isArray(schema.type) ? schema.type.join(" | ") : schema.type || "any";
    const format = schema.format || (schema.contentMediaType === "application/octet-stream" ? "binary" : "");
    return format ? `${type} (${format})` : type;
  };

  const LIMITS = {
    minimum: "≥", maximum: "≤", exclusiveMinimum: ">", exclusiveMaximum: "<", multipleOf: "multiple of",
    minLength: "min length", maxLength: "max length", pattern: "pattern", minItems: "min items", maxItems: "max items",
    uniqueItems: "unique items:", minProperties: "min properties", maxProperties: "max properties", default: "default",
  };

  docs.limits = function (schema) {
    const texts = [];
    for (const part of [schema, ...((schema && schema.anyOf) || [])]) {
      for (const [key, label] of Object.entries(LIMITS)) {
        if (part && part[key] !== undefined) {
          texts.push(`${label} ${typeof part[key] === "string" && key === "pattern" ? part[key] : JSON.stringify(part[key])}`);
        }
      }
    }
    return texts;
  };

  const STRINGS = {
    "date-time": "2026-01-31T12:00:00Z", date: "2026-01-31", time: "12:00:00", duration: "PT1H", email: "user@example.com",
    uuid: "3fa85f64-5717-4562-b3fc-2c963f66afa6", uri: "https://example.com", ipv4: "192.0.2.1", ipv6: "2001:db8::1",
  };

  function exampleNumber(schema) {
    const step = schema.type === "integer" ? 1 : 0.5;
    let value = 0;
    if (schema.minimum !== undefined) value = schema.minimum;
    if (schema.exclusiveMinimum !== undefined) value = schema.exclusiveMinimum + step;
    if (schema.maximum !== undefined && value > schema.maximum) value = schema.maximum;
    if (schema.exclusiveMaximum !== undefined && value >= schema.exclusiveMaximum) value = schema.exclusiveMaximum - step;
    return value;
  }

  function exampleObject(schema, seen) {
    const value = {};
    for (const [name, property] of Object.entries(schema.properties || {})) {
      const example = docs.example(property, seen);
      if (example !== undefined) value[name] = example;
    }
    if (!schema.properties && schema.additionalProperties && schema.additionalProperties !== true) {
      value.key = docs.example(schema.additionalProperties, seen);
    }
    return value;
  }

  function exampleArray(schema, seen) {
    if (schema.prefixItems) return schema.prefixItems.map((item) => docs.example(item, seen));
    const item = docs.example(schema.items, seen);
    return item === undefined ? [] : [item];
  }

  docs.example = function (schema, seen = []) {
    if (!schema || schema === true) return null;
    const name = docs.refName(schema);
    if (name) {
      // A model that holds itself ends here rather than never.
      if (seen.includes(name)) return undefined;
      return docs.example(docs.resolve(schema), seen.concat(name));
    }
    if (schema.example !== undefined) return schema.example;
    if (Array.isArray(schema.examples) && schema.examples.length) return schema.examples[0];
    if (schema.default !== undefined) return schema.default;
    if (schema.const !== undefined) return schema.const;
    if (schema.enum) return schema.enum[0];
    if (schema.allOf) return Object.assign({}, ...schema.allOf.map((part) => docs.example(part, seen)));
    const choices = schema.anyOf || schema.oneOf;
    if (choices) return docs.example(choices.find((choice) => choice.type !== "null") || choices[0], seen);
    const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
    if (type === "object" || schema.properties) return exampleObject(schema, seen);
    if (type === "array") return exampleArray(schema, seen);
    if (type === "integer" || type === "number") return exampleNumber(schema);
    if (type === "boolean") return true;
    if (type === "string") return STRINGS[schema.format] || "string";
    return null;
  };

  // One property a row; a nested model opens on demand, so a model that holds itself costs nothing.
  docs.schemaTree = function (schema, open = true) {
    const target = docs.resolve(schema);
    const properties = Object.entries(target.properties || {});
    const parts = [];
    if (target.description && docs.refName(schema)) parts.push(docs.markdown(target.description));
    if (properties.length) {
      parts.push(h("ul.properties", {}, properties.map(([name, property]) =>
        h("li", {},
          h("code.name", {}, name), " ",
          (target.required || []).includes(name) ? h("span.required", {}, "required") : null, " ",
          h("span.type", {}, docs.typeLabel(property)), " ",
          docs.limits(property).map((text) => h("span.limit", {}, text)),
          property.deprecated ? h("span.deprecated", {}, "deprecated") : null,
          property.description ? docs.markdown(property.description) : null,
          nested(property),
        ))));
    }
    if (!properties.length) {
      parts.push(h("p.type", {}, docs.typeLabel(target), " ", docs.limits(target).map((text) => h("span.limit", {}, text))));
    }
    const inner = properties.length ? [] : nestedChoices(target);
    const box = h("div.schema", {}, parts, inner);
    const name = docs.refName(schema) || target.title;
    if (open || !name) return box;
    return lazyDetails(name, () => box);
  };

  function lazyDetails(label, build) {
    const details = h("details.nested", {}, h("summary", {}, label));
    details.addEventListener("toggle", () => {
      if (details.open && details.childElementCount === 1) details.append(build());
    });
    return details;
  }

  function models(schema, found = []) {
    if (!schema || typeof schema !== "object") return found;
    if (docs.refName(schema)) {
      if (!found.some((other) => other.$ref === schema.$ref)) found.push(schema);
    } else if (schema.properties) found.push(schema);
    for (const key of ["anyOf", "oneOf", "allOf", "prefixItems"]) (schema[key] || []).forEach((part) => models(part, found));
    if (schema.items) models(schema.items, found);
    if (typeof schema.additionalProperties === "object") models(schema.additionalProperties, found);
    return found;
  }

  function nested(property) {
    return models(property).map((model) =>
      lazyDetails(docs.refName(model) || model.title || "object", () => docs.schemaTree(model)));
  }

  function nestedChoices(schema) {
    return models(schema).filter((model) => model !== schema).map((model) =>
      lazyDetails(docs.refName(model) || model.title || "object", () => docs.schemaTree(model)));
  }

  docs.mediaExample = function (media) {
    if (media.example !== undefined) return media.example;
    const named = Object.values(media.examples || {}).map((example) => docs.resolve(example)).find((example) => "value" in example);
    if (named) return named.value;
    return docs.example(media.schema || media.itemSchema);
  };

  docs.asText = function (value) {
    return typeof value === "string" ? value : JSON.stringify(value === undefined ? null : value, null, 2);
  };
})(window.velithonDocs);
