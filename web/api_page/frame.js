// Swagger UI, which asks the page around it for all that it sends.
addEventListener("message", ({ source, data, ports: [port] }) => {
  if (source !== parent || !port) return;
  const waiting = new Map();
  let last = 0;
  port.onmessage = ({ data: { id, answer, error } }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error) return reject(new Error(error));
    const { body, ...head } = answer;
    // A Response of these statuses has no body, not even an empty one.
    resolve(new Response([204, 205, 304].includes(head.status) ? null : body, head));
  };
  const ask = (url, { method, headers, body }) => new Promise((resolve, reject) => {
    waiting.set(++last, { resolve, reject });
    port.postMessage({ id: last, request: { url, method, headers, body } });
  });
  SwaggerUIBundle({
    spec: data.description, dom_id: "#ui", validatorUrl: null, tryItOutEnabled: true, displayRequestDuration: true, filter: true, docExpansion: "list",
    defaultModelsExpandDepth: 0, requestInterceptor: (request) => Object.assign(request, { userFetch: ask }),
  });
}, { once: true });
