// From sliders to what a decoder takes: a motion g, and an upright latent z of
//
//   content = mean + sum_k a_k s_k e_k + what the directions leave of the image's own content
"use strict";

explorer.latent = (() => {
  const { table } = explorer, about = explorer.received.about.latent;
  if (!about) return null;
  const { mean, directions, sd, base, columns } = about;
  const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
  const value = (name, row) => (table.has(name) && !Number.isNaN(table.values(name)[row]) ? table.values(name)[row] : 0);
  const contentOf = (row) => mean.map((_, i) => value(`content_${i}`, row));

  // An image's content in standard deviations along the directions, and the rest.
  function read(row) {
    const rest = contentOf(row).map((c, i) => c - mean[i]);
    const amounts = directions.map((e) => dot(e, rest));
    directions.forEach((e, k) => e.forEach((x, i) => (rest[i] -= amounts[k] * x)));
    const reflected = table.has("reflected") && table.said("reflected", row) === "true";
    const angle = value("angle_degrees", row);
    return {
      angle: angle > 180 ? angle - 360 : angle,
      x: value("x_pixels", row), y: value("y_pixels", row), mirror: Number(reflected),
      amounts: amounts.map((a, k) => (sd[k] > 0 ? a / sd[k] : 0)), rest,
    };
  }

  function assembled({ angle, x, y, mirror, amounts, rest }) {
    const z = Float32Array.from(base), content = mean.map((m, i) => m + rest[i]);
    directions.forEach((e, k) => e.forEach((part, i) => (content[i] += amounts[k] * sd[k] * part)));
    columns.forEach((column, i) => (z[column] = content[i]));
    return { g: Float32Array.of(mirror, (angle * Math.PI) / 180, x, y), z };
  }

  const middle = () => ({ angle: 0, x: 0, y: 0, mirror: 0, amounts: sd.map(() => 0), rest: mean.map(() => 0) });
  return { read, assembled, middle, about };
})();
