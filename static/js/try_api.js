/** Swagger UI, without the parts that need inline styles or another server. */

const place = document.querySelector("#try");
const { SwaggerUIBundle } = window;

// Lists of files ask for a component of this name, and the console says that there is none.
const fileInput = ({ React, getComponent }) => ({
  components: {
    JsonSchema_string_binary: (props) => React.createElement(getComponent("JsonSchema_string"), props),
  },
});

// The fields of a form are filled in with examples alone, not with samples of their types: each is sent.
const emptyFields = () => ({
  afterLoad() {
    const { getSampleSchema } = this.fn;
    this.fn.getSampleSchema = (schema, type, ...others) => {
      const field = schema?.toJS?.() ?? schema;
      const isKnown = type !== false || field.examples || field.items?.format === "binary";
      if (isKnown) return getSampleSchema(schema, type, ...others);
      return field.type === "array" ? [] : "";
    };
  },
});

SwaggerUIBundle({
  domNode: place,
  url: place.dataset.document,
  presets: [SwaggerUIBundle.presets.apis],
  plugins: [fileInput, emptyFields],
  layout: "BaseLayout",
  validatorUrl: null,
  deepLinking: true,
  defaultModelsExpandDepth: 0,
});
