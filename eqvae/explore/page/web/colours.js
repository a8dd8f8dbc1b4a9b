// Colours of a column: a palette of kinds, a ramp of numbers, a wheel of angles.
"use strict";

explorer.colours = (() => {
  // Twelve hues that differ for colour-blind eyes too, in light and dark; further kinds repeat them.
  const KINDS = ["#4477aa", "#ee6677", "#228833", "#ccaa22", "#66ccee", "#aa3377", "#ee8833", "#7b6fd0", "#44bb99", "#b0603a", "#dd77bb", "#8a9a2b"];
  const RAMP = ["#5f3f96", "#52559f", "#43699f", "#357d9b", "#2a9193", "#2ba585", "#49b872", "#7ac75a", "#b4d344", "#ecd93b"];
  const WHEEL = ["#4f6fe0", "#2fa7c9", "#4bb67a", "#b9b03c", "#e8863f", "#d94f74", "#9a5bd0", "#4f6fe0"];
  const UNKNOWN = "#8a8a8a";
  const STEPS = 64;

  const parsed = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  const between = (stops, t) => {
    const at = Math.min(t, 1) * (stops.length - 1), i = Math.min(Math.floor(at), stops.length - 2);
    const [a, b] = [parsed(stops[i]), parsed(stops[i + 1])];
    return `rgb(${a.map((x, k) => Math.round(x + (b[k] - x) * (at - i))).join(",")})`;
  };
  const stepped = (stops) => Array.from({ length: STEPS }, (_, i) => between(stops, i / (STEPS - 1)));

  // { codes: a place in `palette` for each image, palette, and what a legend says }
  function of(name) {
    const { table } = explorer, values = table.values(name);
    const codes = new Uint16Array(table.count);
    if (table.type(name) === "kind") {
      const words = table.words(name);
      const palette = [...words.map((_, i) => KINDS[i % KINDS.length]), UNKNOWN];
      for (let i = 0; i < codes.length; i++) codes[i] = values[i] < 0 ? words.length : values[i];
      return { name, codes, palette, words, values };
    }
    const wheel = name === "angle_degrees";
    const [low, high] = wheel ? [0, 360] : range(values);
    const palette = [...stepped(wheel ? WHEEL : RAMP), UNKNOWN];
    const scale = (STEPS - 1) / (high - low || 1);
    for (let i = 0; i < codes.length; i++) {
      const at = Math.round((values[i] - low) * scale);
      codes[i] = Number.isNaN(at) ? STEPS : Math.max(0, Math.min(STEPS - 1, at));
    }
    return { name, codes, palette, low, high };
  }

  // From the 1st to the 99th percentile: a few outliers would leave one colour for the rest.
  function range(values) {
    const known = Float64Array.from(values).filter(Number.isFinite).sort();
    if (!known.length) return [0, 1];
    const at = (q) => known[Math.round(q * (known.length - 1))];
    const [low, high] = [at(0.01), at(0.99)];
    return low < high ? [low, high] : [known[0], known[known.length - 1]];
  }

  return { of, parsed };
})();
