// A file of its own, because the page's policy allows no script inside it.
SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: "openapi.json",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  // By default it asks a service on the internet whether the document is valid.
  validatorUrl: null,
});
