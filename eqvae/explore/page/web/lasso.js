// The hand on the map: hover, click, drag to move, drag with the lasso or Shift to select, wheel and keys.
"use strict";

explorer.hand = (() => {
  const { map, table } = explorer;
  const canvas = element("overlay"), context = canvas.getContext("2d");
  const fingers = new Map();
  let tool = "pan", path = null, from = null, moved = false, hovered = -1, current = -1, mark = null, pinch = 0;

  const ratio = () => Math.min(window.devicePixelRatio || 1, 2);
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function draw() {
    const box = element("points");
    if (canvas.width !== box.width || canvas.height !== box.height) (canvas.width = box.width), (canvas.height = box.height);
    context.setTransform(ratio(), 0, 0, ratio(), 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.strokeStyle = context.fillStyle = style("--ink");
    if (hovered >= 0 && hovered !== current) ring(...map.where(hovered), 7, 1.5);
    if (current >= 0) ring(...map.where(current), 8, 2.5);
    if (mark) cross(...map.screen(...mark));
    if (path) outline();
  }
  function ring(x, y, radius, width) {
    context.lineWidth = width;
    context.beginPath();
    context.arc(x, y, radius, 0, 7);
    context.stroke();
  }
  function cross(x, y) {
    context.lineWidth = 2;
    context.beginPath();
    for (const [a, b] of [[-1, 0], [1, 0], [0, -1], [0, 1]]) {
      context.moveTo(x + 4 * a, y + 4 * b);
      context.lineTo(x + 13 * a, y + 13 * b);
    }
    context.stroke();
  }
  function outline() {
    context.lineWidth = 1.5;
    context.beginPath();
    path.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.closePath();
    context.globalAlpha = 0.08;
    context.fill();
    context.globalAlpha = 1;
    context.stroke();
  }

  // Rows within a closed path, by how often a ray crosses it.
  function within(polygon) {
    const found = [];
    for (let row = 0; row < table.count; row++) {
      const [x, y] = map.where(row);
      let inside = false;
      for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
        const [a, b] = polygon[i], [c, d] = polygon[j];
        if (b > y !== d > y && x < ((c - a) * (y - b)) / (d - b) + a) inside = !inside;
      }
      if (inside) found.push(row);
    }
    return found;
  }

  const here = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  function hover(row, at) {
    if (row !== hovered) (hovered = row), draw();
    explorer.tell("hovered", { row, at });
  }
  const spread = () => {
    const [[a, b], [c, d]] = [...fingers.values()];
    return Math.hypot(a - c, b - d);
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    fingers.set(event.pointerId, here(event));
    if (fingers.size === 2) (pinch = spread()), (path = null), (moved = true);
    canvas.setPointerCapture(event.pointerId);
    from = here(event), moved = fingers.size > 1;
    if ((tool === "lasso" || event.shiftKey) && fingers.size === 1) path = [from];
  });
  canvas.addEventListener("pointermove", (event) => {
    const at = here(event);
    if (!from) return hover(map.at(...at), at);
    const last = fingers.get(event.pointerId);
    fingers.set(event.pointerId, at);
    if (Math.hypot(at[0] - from[0], at[1] - from[1]) > 4) moved = true;
    if (fingers.size === 2) {
      map.zoom(spread() / pinch, ...at), (pinch = spread());
    } else if (path) path.push(at), draw();
    else if (moved) hover(-1), map.move(at[0] - last[0], at[1] - last[1]);
  });
  const up = (event) => {
    fingers.delete(event.pointerId);
    if (!from || fingers.size) return;
    const at = here(event), drawn = path;
    from = path = null;
    if (event.type === "pointercancel") return draw();
    if (!moved) {
      const row = map.at(...at);
      if (row >= 0) explorer.tell("chosen", row);
    } else if (drawn) explorer.tell("selected", within(drawn));
    draw();
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", () => from || hover(-1));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    map.zoom(Math.exp(-0.0016 * lines * Math.max(-250, Math.min(250, event.deltaY))), ...here(event));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const keys = {
      ArrowLeft: () => map.move(40, 0), ArrowRight: () => map.move(-40, 0),
      ArrowUp: () => map.move(0, 40), ArrowDown: () => map.move(0, -40),
      "+": () => map.zoom(1.3), "=": () => map.zoom(1.3), "-": () => map.zoom(1 / 1.3), 0: () => map.fit(),
    };
    if (keys[event.key] && !event.ctrlKey && !event.metaKey) event.preventDefault(), keys[event.key]();
  });

  explorer.on("drawn", draw);
  explorer.on("tool", (value) => (canvas.classList.toggle("lasso", value === "lasso"), (tool = value)));
  explorer.on("chosen", (row) => ((current = row), draw()));
  explorer.on("mark", (place) => ((mark = place), draw()));
  return {};
})();
