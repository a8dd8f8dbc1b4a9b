// Thumbnails out of sheets: on a canvas, or as the background of an element.
"use strict";

explorer.thumbnails = (() => {
  const { side, size } = explorer.received.about.sheet, { count } = explorer.table;
  const each = side * side;
  const sheets = { image: [], upright: [] };

  const path = (kind, number) => `thumbnails/${kind}-${String(number).padStart(3, "0")}.webp`;
  const place = (row) => [row % side, Math.floor((row % each) / side)];
  const rowsOf = (number) => Math.ceil(Math.min(each, count - number * each) / side);

  // The sheet of a row, or null as long as it is being read.
  function sheet(kind, row) {
    const number = Math.floor(row / each);
    let image = sheets[kind][number];
    if (!image) {
      image = sheets[kind][number] = new Image();
      image.onload = () => explorer.tell("sheet", kind);
      image.src = path(kind, number);
    }
    return image.complete && image.naturalWidth ? image : null;
  }

  return {
    size,
    draw(context, kind, row, x, y, side) {
      const image = sheet(kind, row), [column, line] = place(row);
      if (image) context.drawImage(image, column * size, line * size, size, size, x, y, side, side);
      return Boolean(image);
    },
    show(node, kind, row, shown) {
      const [column, line] = place(row), number = Math.floor(row / each);
      node.style.width = node.style.height = `${shown}px`;
      node.style.backgroundImage = `url("${path(kind, number)}")`;
      node.style.backgroundSize = `${side * shown}px ${rowsOf(number) * shown}px`;
      node.style.backgroundPosition = `${-column * shown}px ${-line * shown}px`;
    },
  };
})();
