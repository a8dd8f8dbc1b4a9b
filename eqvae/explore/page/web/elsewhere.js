// The command that writes a format of some images that a page can't: they are listed in a file beside it.
"use strict";

explorer.elsewhere = (() => {
  const about = explorer.received.about.elsewhere, place = element("elsewhere");

  // As a shell reads it, whatever the folder is called.
  const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

  // Where the table lies now: the page may have been moved.
  function folder() {
    if (location.protocol !== "file:") return about.folder;
    return decodeURIComponent(new URL("table", location.href).pathname).replace(/^\/(?=[A-Za-z]:)/, "");
  }
  const command = (word, list) => `${about.command} table=${quoted(folder())} rows=${list} write=${word} out=selection`;

  function show(word, list) {
    const text = command(word, list), code = Object.assign(document.createElement("code"), { textContent: text });
    const said = Object.assign(document.createElement("p"), { textContent: `Saved ${list}; move it to where you run this:` });
    place.replaceChildren(said, code);
    place.hidden = false;
    navigator.clipboard?.writeText(text).then(() => (said.textContent = `Saved ${list}; move it to where you run this, which is copied:`), () => {});
  }
  explorer.on("selected", () => (place.hidden = true));
  return { files: about?.files ?? [], show };
})();
