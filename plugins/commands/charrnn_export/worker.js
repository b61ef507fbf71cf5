// The model in a Web Worker, or in the page itself where there is none.
"use strict";

const { encode } = engine();
const unknownIn = (text) => encode(DATA.alphabet, text).lacking;

// Ask the model for something: `ask(request)` posts it; replies come to `onReply`.
function connect(onReply) {
  return new Promise((ready, failed) => {
    const inPage = async () => {
      const { makeModel, server } = engine();
      ready(server(await makeModel(DATA), DATA, onReply, 12));
    };
    try {
      const source =
        `${engine}\nconst { makeModel, server } = engine();\nlet take;\n` +
        "onmessage = async ({ data }) => {\n" +
        "  if (take) return take(data);\n" +
        "  take = server(await makeModel(data), data, postMessage, 40);\n" +
        "  postMessage({ ready: true });\n};";
      const worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
      worker.onerror = () => inPage().catch(failed);
      worker.onmessage = ({ data }) => {
        if (data.ready) ready((request) => worker.postMessage(request));
        else onReply(data);
      };
      worker.postMessage(DATA);
    } catch {
      inPage().catch(failed); // a browser that makes no workers from a file
    }
  });
}
