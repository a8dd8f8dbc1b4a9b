// What the data files hand over, by name; files that are needed later are loaded when they are.
"use strict";

const explorer = {
  received: {},
  receive(name, value) {
    explorer.received[name] = value;
  },

  // The value that a data file hands over: a promise of it.
  load(name, path) {
    if (name in explorer.received) return Promise.resolve(explorer.received[name]);
    return new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = path;
      script.onload = () => done(explorer.received[name]);
      script.onerror = () => failed(new Error(`${path} is missing: copy the whole folder of this page.`));
      document.head.append(script);
    });
  },

  bytes(base64) {
    const text = atob(base64);
    const found = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) found[i] = text.charCodeAt(i);
    return found;
  },

  async unzipped(base64) {
    const stream = new Blob([explorer.bytes(base64)]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  },

  // Tell every listener: explorer.on("colour", f), explorer.tell("colour", value).
  listeners: {},
  on(event, listener) {
    (explorer.listeners[event] ??= []).push(listener);
  },
  tell(event, value) {
    for (const listener of explorer.listeners[event] ?? []) listener(value);
  },
};
const element = (id) => document.getElementById(id);
