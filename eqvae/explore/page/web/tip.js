// Beside the pointer: the image under it, as it is and upright, and what the table says of it.
"use strict";

(() => {
  const { table, thumbnails } = explorer, tip = element("tip");
  const pair = tip.querySelector(".pair"), list = tip.querySelector("dl");
  const tiles = ["image", "upright"].map((kind) => [kind, pair.appendChild(Object.assign(document.createElement("div"), { className: "tile" }))]);
  const SAID = ["name", "index", "class", "label", "cluster", "cluster_probability", "angle_degrees", "x_pixels", "y_pixels"];
  let shown = -1, colour = null;

  explorer.on("colour", (colours) => (colour = colours.name));
  explorer.on("hovered", ({ row, at }) => {
    tip.hidden = row < 0;
    if (row < 0) return (shown = -1);
    if (row !== shown) fill((shown = row));
    const box = tip.parentElement.getBoundingClientRect();
    const left = at[0] + 18 + tip.offsetWidth > box.width ? at[0] - 18 - tip.offsetWidth : at[0] + 18;
    const top = Math.max(8, Math.min(at[1] + 14, box.height - tip.offsetHeight - 8));
    tip.style.transform = `translate(${Math.max(8, left)}px, ${top}px)`;
  });

  function fill(row) {
    for (const [kind, tile] of tiles) thumbnails.show(tile, kind, row, 84);
    const names = SAID.filter((name) => table.has(name) && !(name === "label" && table.has("class")));
    if (!names.includes(colour)) names.push(colour);
    explorer.fillValues(list, row, names);
  }
  explorer.fillValues = (list, row, names) => {
    list.replaceChildren();
    for (const name of names) {
      const value = table.said(name, row);
      if (value === "") continue;
      list.append(Object.assign(document.createElement("dt"), { textContent: table.label(name) }));
      list.append(Object.assign(document.createElement("dd"), { textContent: value, title: value }));
    }
  };
})();
