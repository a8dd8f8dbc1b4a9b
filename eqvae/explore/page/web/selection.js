// The images that were selected: their thumbnails, and files of them alone.
"use strict";

(() => {
  const { table, thumbnails } = explorer, grid = element("grid"), buttons = element("downloads");
  const PART = 120, TILE = 46;
  const LABELS = { list: "List", csv: "CSV", star: "STAR", cs: "CS", h5ad: "H5AD", fits: "FITS" };
  let rows = [], kind = "upright";
  const more = new IntersectionObserver((seen) => seen[0].isIntersecting && fill());
  const end = Object.assign(document.createElement("div"), { className: "end" });

  function fill() {
    const from = grid.childElementCount - (end.parentNode ? 1 : 0);
    end.remove();
    for (const row of rows.slice(from, from + PART)) {
      const tile = document.createElement("button");
      tile.type = "button";
      tile.className = "tile";
      tile.title = table.has("name") ? table.said("name", row) : `image ${table.said("index", row)}`;
      tile.setAttribute("aria-label", tile.title);
      tile.onclick = () => explorer.tell("chosen", row);
      thumbnails.show(tile, kind, row, TILE);
      grid.append(tile);
    }
    more.disconnect();
    if (grid.childElementCount < rows.length) grid.append(end), more.observe(end);
  }
  function show() {
    grid.replaceChildren();
    grid.scrollTop = 0;
    fill();
    element("chosen").textContent = rows.length ? `${rows.length.toLocaleString("en")} of ${table.count.toLocaleString("en")}` : "none";
    element("how").hidden = rows.length > 0;
    buttons.hidden = !rows.length;
  }

  // The text of a file without the lines of images that are not selected.
  async function written(file) {
    const { text, rows: lines } = await explorer.load(file.name, `data/${file.name}.js`);
    const whole = new TextDecoder().decode(await explorer.unzipped(text)).split("\n");
    const numbers = new Int32Array(explorer.bytes(lines).buffer), gone = new Uint8Array(whole.length);
    numbers.forEach((number) => (gone[number] = 1));
    for (const row of rows) gone[numbers[row]] = 0;
    return whole.filter((_, number) => !gone[number]).join("\n");
  }
  async function save(file) {
    const url = URL.createObjectURL(new Blob([await written(file)], { type: "text/plain;charset=utf-8" }));
    Object.assign(document.createElement("a"), { href: url, download: file.file }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }
  function button(text, act, title = "") {
    buttons.append(Object.assign(document.createElement("button"), { type: "button", textContent: text, onclick: act, title }));
  }
  const told = (promise) => promise.catch((error) => (element("state").textContent = error.message));
  const { files } = explorer.received.about, list = files.find((file) => file.name === "list");
  for (const file of files) button(LABELS[file.name], () => told(save(file)), `Save ${file.file} of these images`);
  for (const file of list ? explorer.elsewhere.files : [])
    button(LABELS[file.name], () => (explorer.elsewhere.show(file.name, list.file), told(save(list))), `Save ${list.file} and copy the command that writes ${file.file} of these images`);
  button("Clear", () => explorer.tell("selected", []), "Escape");

  explorer.on("selected", (found) => ((rows = found), show()));
  explorer.on("view", (value) => ((kind = value), show()));
})();
