// Show Swagger UI, without the parts that need inline styles or another server.

const place = document.querySelector("#try");
const { presets } = window.SwaggerUIBundle;

window.SwaggerUIBundle({
  domNode: place,
  url: place.dataset.document,
  presets: [presets.apis],
  layout: "BaseLayout",
  validatorUrl: null,
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
  requestSnippetsEnabled: false,
});
