// This script is a separate file, because the page's Content-Security-Policy forbids inline scripts.
SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: "openapi.json",
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  // By default, Swagger UI sends the document's URL to a validation service on the internet.
  validatorUrl: null,
});
