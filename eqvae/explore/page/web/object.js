// One image: what it looks like, and sliders for what the decoder makes of it.
"use strict";

(() => {
  const { table, thumbnails, latent, decoder } = explorer, state = element("state");
  const TILE = 104, sliders = {};
  let settings = latent?.middle(), own = settings, busy = false, again = false, playing = null;

  function slider(key, label, low, high, step, unit, get, set) {
    const row = document.createElement("label"), input = document.createElement("input"), value = document.createElement("output");
    Object.assign(input, { type: "range", min: low, max: high, step, id: `slider-${key}`, value: 0 });
    const name = Object.assign(document.createElement("span"), { textContent: label[0], title: label[1] ?? "" });
    row.append(name, input, value);
    input.oninput = () => (stop(), set(Number(input.value)), changed());
    input.ondblclick = () => (set(get(own)), changed());
    sliders[key] = () => {
      const now = get(settings), digits = step >= 1 ? 0 : 1;
      input.value = now;
      value.textContent = `${(Math.abs(now) < 0.05 ? 0 : now).toFixed(digits).replace("-", "\u2212")}${unit}`;
      input.setAttribute("aria-valuetext", value.textContent);
    };
    element("sliders").append(row);
  }

  function build() {
    const { turns, shifts, mirrors, reach, share } = latent.about, title = (text) => element("sliders").append(Object.assign(document.createElement("h3"), { textContent: text }));
    if (turns || shifts) title("Pose");
    if (turns) slider("angle", ["Turn", "degrees, counter-clockwise"], -180, 180, 1, "\u00b0", (s) => s.angle, (v) => (settings.angle = v));
    if (shifts) {
      slider("x", ["Right", "pixels"], -reach, reach, 0.1, " px", (s) => s.x, (v) => (settings.x = v));
      slider("y", ["Up", "pixels"], -reach, reach, 0.1, " px", (s) => s.y, (v) => (settings.y = v));
    }
    if (mirrors) slider("mirror", ["Mirror", "0 or 1"], 0, 1, 1, "", (s) => s.mirror, (v) => (settings.mirror = v));
    title("Content, standard deviations");
    share.forEach((part, k) =>
      slider(`content-${k}`, [`${k + 1}  (${Math.round(100 * part)} %)`, `principal direction ${k + 1}: ${(100 * part).toFixed(1)} % of the variance`], -3, 3, 0.1, "", (s) => s.amounts[k], (v) => (settings.amounts[k] = v)));
    element("turn").hidden = !turns;
    element("actions").hidden = false;
  }

  function changed() {
    for (const show of Object.values(sliders)) show();
    const { mean, sd, directions } = latent.about;
    const onMap = explorer.received.about.map.kind === "pca" && directions.length > 1;
    if (onMap) explorer.tell("mark", settings.amounts.slice(0, 2).map((a, k) => a * sd[k]));
    return render();
  }

  // The newest settings, one at a time: what comes while the decoder is busy is done after it.
  async function render() {
    if (!decoder.ready()) return;
    if (busy) return void (again = true);
    busy = true;
    do {
      again = false;
      explorer.pixels = await decoder.decode(settings);
      decoder.draw(element("drawn"), explorer.pixels);
      explorer.decoded = (explorer.decoded ?? 0) + 1;
    } while (again);
    busy = false;
  }

  function choose(row) {
    stop();
    element("which").textContent = table.has("name") ? table.said("name", row) : table.said("index", row);
    thumbnails.show(element("seen"), "image", row, TILE);
    thumbnails.show(element("stands"), "upright", row, TILE);
    const names = table.names.filter((name) => !table.content.includes(name));
    explorer.fillValues(element("values").querySelector("dl"), row, names);
    if (!latent) return;
    own = latent.read(row);
    settings = latent.read(row);
    changed();
    explorer.tell("mark", null); // the ring is there
  }

  // A full turn in six seconds, or there and back along the first direction in eight.
  const motions = {
    turn: (start, seconds) => (settings.angle = ((((start.angle + 60 * seconds + 180) % 360) + 360) % 360) - 180),
    walk: (start, seconds) => {
      const from = Math.asin(Math.max(-1, Math.min(1, start.amounts[0] / 2.5)));
      settings.amounts[0] = 2.5 * Math.sin(from + (2 * Math.PI * seconds) / 8);
    },
  };
  function stop() {
    playing = null;
    for (const name of Object.keys(motions)) element(name).setAttribute("aria-pressed", "false");
  }
  function play(name) {
    const was = playing?.name === name;
    stop();
    if (was || !decoder.ready()) return;
    element(name).setAttribute("aria-pressed", "true");
    const run = (playing = { name }), begin = performance.now();
    const start = { ...settings, amounts: [...settings.amounts] };
    const frame = async () => {
      if (playing !== run) return;
      motions[name](start, (performance.now() - begin) / 1000);
      await changed();
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  explorer.on("chosen", choose);
  explorer.startObject = async () => {
    if (!latent) {
      element("decoded").hidden = true;
      return void (state.textContent = explorer.received.about.said.join(" "));
    }
    for (const name of Object.keys(motions)) element(name).onclick = () => play(name);
    element("reset").onclick = () => {
      stop();
      settings = { ...own, amounts: [...own.amounts] };
      changed();
    };
    build();
    changed();
    explorer.tell("mark", null);
    state.textContent = "The decoder is starting \u2026";
    try {
      await decoder.start();
      await render();
      state.textContent = "";
      explorer.live = true;
    } catch (error) {
      state.textContent = `The decoder can't run in this browser: ${error.message}`;
    }
  };
})();
