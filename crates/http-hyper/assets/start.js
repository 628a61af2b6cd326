// Addresses are relative, so that a proxy may put the service under a path of its own. Nothing is
// asked of anybody else: no validator's badge, no remote configuration.
window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#ui",
  deepLinking: true,
  validatorUrl: null,
  queryConfigEnabled: false,
  persistAuthorization: false,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
});
