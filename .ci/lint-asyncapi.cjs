// Checks asyncapi.yaml with the parser of the AsyncAPI project, and the examples of messages against their
// schemas. Run by `make lint-openapi`, with the folder of the parser as NODE_PATH.
const { readFileSync } = require("node:fs");
const { Parser } = require("@asyncapi/parser");
const Ajv = require("ajv").default;

// Advice: the identifier of an application is optional, and 3.0 is the version that tools support.
const IGNORED = ["asyncapi-id", "asyncapi-latest-version"];

async function lint() {
  const { document, diagnostics } = await new Parser().parse(readFileSync("asyncapi.yaml", "utf8"));
  const errors = diagnostics
    .filter(({ code }) => !IGNORED.includes(code))
    .map(({ code, message, path }) => `${path.join("/")}: ${message} (${code})`);
  const ajv = new Ajv({ strict: false, validateFormats: false });
  for (const message of document?.components().messages() ?? []) {
    const isValid = ajv.compile(message.payload().json());
    if (message.examples().isEmpty()) errors.push(`${message.id()} has no example`);
    for (const example of message.examples()) {
      if (!isValid(example.payload())) errors.push(`${message.id()}: ${ajv.errorsText(isValid.errors)}`);
    }
  }
  return errors;
}

lint().then((errors) => {
  for (const error of errors) console.error(`asyncapi.yaml: ${error}`);
  process.exitCode = errors.length === 0 ? 0 : 1;
});
