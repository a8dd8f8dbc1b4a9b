// The legend: kinds that select their images, or a bar from the least to the largest number.
"use strict";

(() => {
  const { table } = explorer, legend = element("legend");

  explorer.on("colour", (colours) => {
    legend.replaceChildren(colours.words ? kinds(colours) : bar(colours));
  });

  function kinds({ words, codes, palette }) {
    const counts = new Uint32Array(words.length + 1), list = document.createElement("ul");
    for (const code of codes) counts[code]++;
    counts.forEach((count, code) => {
      if (!count) return;
      const item = document.createElement("li"), button = document.createElement("button");
      button.type = "button";
      button.title = `${words[code] ?? "unknown"}: select these images`;
      const dot = document.createElement("i"), number = document.createElement("b");
      dot.style.background = palette[code];
      number.textContent = count.toLocaleString("en");
      const word = Object.assign(document.createElement("span"), { textContent: words[code] ?? "unknown" });
      button.append(dot, word, number);
      button.onclick = () => explorer.tell("selected", rowsOf(codes, code));
      item.append(button);
      list.append(item);
    });
    return list;
  }

  const rowsOf = (codes, wanted) => {
    const found = [];
    codes.forEach((code, row) => code === wanted && found.push(row));
    return found;
  };

  function bar({ name, palette, low, high }) {
    const box = document.createElement("div"), strip = document.createElement("div");
    box.className = "bar";
    strip.style.background = `linear-gradient(to right, ${palette.slice(0, -1).join(",")})`;
    const ends = document.createElement("p");
    ends.append(...[low, high].map((end) => Object.assign(document.createElement("span"), { textContent: table.shown(end) })));
    box.append(Object.assign(document.createElement("p"), { textContent: table.label(name) }), strip, ends);
    return box;
  }
})();
