"use strict";
document.getElementById("copy").addEventListener("click", async () => {
  const text = document.getElementById("text");
  const said = document.getElementById("copied");
  try {
    await navigator.clipboard.writeText(text.textContent);
    said.textContent = "Copied.";
  } catch {
    // Without a secure context there is no clipboard: the text is selected, to be copied by hand.
    text.closest("details").open = true;
    getSelection().selectAllChildren(text);
    said.textContent = "Selected: copy it with the keyboard.";
  }
});
