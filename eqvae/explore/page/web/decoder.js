// The decoder, run by onnxruntime-web: everything comes from script files, for no page may read files of a disk.
"use strict";

explorer.decoder = (() => {
  const { latent } = explorer;
  let session = null, runtime = null;

  async function start() {
    const [loader, wasm, graph] = await Promise.all([
      explorer.load("loader", "runtime/loader.js").then(explorer.unzipped),
      explorer.load("wasm", "runtime/wasm.js").then(explorer.unzipped),
      explorer.load("decoder", "data/decoder.js").then(explorer.unzipped),
    ]);
    for (const name of ["loader", "wasm", "decoder"]) delete explorer.received[name];
    const url = URL.createObjectURL(new Blob([loader], { type: "text/javascript" }));
    runtime = await import(url);
    URL.revokeObjectURL(url);
    Object.assign(runtime.env.wasm, { wasmBinary: wasm.buffer, numThreads: 1, proxy: false });
    session = await runtime.InferenceSession.create(graph, { executionProviders: ["wasm"] });
  }

  // Grey values (C, H, H), one channel after the other.
  async function decode(settings) {
    const { g, z } = latent.assembled(settings), { Tensor } = runtime;
    const given = { g: new Tensor("float32", g, [1, 4]), z: new Tensor("float32", z, [1, z.length]) };
    return (await session.run(given)).images.data;
  }

  function draw(canvas, values) {
    const [channels, height, width] = latent.about.image, each = height * width;
    if (canvas.width !== width) (canvas.width = width), (canvas.height = height);
    const context = canvas.getContext("2d"), image = context.createImageData(width, height);
    for (let i = 0; i < each; i++) {
      let grey = 0;
      for (let c = 0; c < channels; c++) grey += values[c * each + i] / channels;
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = 255 * (channels === 3 ? values[c * each + i] : grey);
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  return { start, decode, draw, ready: () => Boolean(session) };
})();
