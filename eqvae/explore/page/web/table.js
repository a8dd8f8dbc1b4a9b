// The table of images: its columns, decoded when they are first used.
"use strict";

explorer.table = (() => {
  const columns = new Map(explorer.received.table.map((column) => [column.name, column]));
  const arrays = { float32: Float32Array, float64: Float64Array };

  function values(name) {
    const column = columns.get(name);
    if (!column.values && column.type !== "text") {
      const kind = column.type === "kind" ? Int32Array : arrays[column.dtype];
      column.values = new kind(explorer.bytes(column.data).buffer);
      delete column.data;
    }
    return column.values;
  }

  // One entry in words, for people.
  function said(name, row) {
    const column = columns.get(name);
    if (column.type === "text") return column.words[row];
    const value = values(name)[row];
    if (column.type === "kind") return value < 0 ? "" : column.words[value];
    return shown(value);
  }

  function shown(value) {
    if (Number.isNaN(value)) return "";
    if (Number.isInteger(value)) return String(value);
    return Math.abs(value) >= 1e5 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
  }

  const names = [...columns.keys()];
  return {
    names,
    has: (name) => columns.has(name),
    type: (name) => columns.get(name).type,
    words: (name) => columns.get(name).words,
    content: names.filter((name) => /^content_\d+$/.test(name)),
    count: explorer.received.about.count,
    label: (name) => name.replace(/_/g, " "),
    values,
    said,
    shown,
  };
})();
