// The confusion matrix: selecting a cell shows its images.
"use strict";

function startConfusion() {
  const images = JSON.parse(document.getElementById("cells").textContent);
  const panel = document.getElementById("cell");
  const buttons = document.querySelectorAll("button[data-predicted]");

  function makeTile(image) {
    const item = document.createElement("li");
    const picture = document.createElement("img");
    picture.src = image.url;
    picture.alt = `Image ${image.id} of ${image.shard}: label ${image.label}, predicted ${image.predicted}`;
    const note = document.createElement("small");
    note.textContent = `${(100 * image.probability).toFixed(0)} %\n${image.id}`;
    item.append(picture, note);
    return item;
  }

  function open(button) {
    buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
    const { label, predicted } = button.dataset;
    const count = Number(button.dataset.count);
    const shown = images.filter((image) => String(image.label) === label && String(image.predicted) === predicted);
    const heading = document.createElement("h4");
    const confidence = label === predicted ? "lowest" : "highest";
    const part = shown.length < count ? ` Shown: the ${shown.length} with the ${confidence} confidence.` : "";
    const noun = count === 1 ? "image" : "images";
    heading.textContent = `${count.toLocaleString("en")} ${noun} with label ${label}, predicted ${predicted}.${part}`;
    const list = document.createElement("ul");
    list.className = "tiles small";
    list.append(...shown.map(makeTile));
    panel.replaceChildren(heading, list);
  }

  buttons.forEach((button) => button.addEventListener("click", () => open(button)));
  // start with the most frequent error
  const errors = Array.from(buttons).filter((button) => button.dataset.label !== button.dataset.predicted);
  errors.sort((a, b) => b.dataset.count - a.dataset.count);
  if (errors.length) open(errors[0]);
}

if (document.getElementById("cells")) startConfusion();
