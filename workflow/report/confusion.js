// The confusion matrix: a click on a cell shows its images.
"use strict";

function startConfusion() {
  const images = JSON.parse(document.getElementById("cells").textContent);
  const panel = document.getElementById("cell");
  const buttons = document.querySelectorAll("[data-is]");

  function tile(image) {
    const item = document.createElement("li");
    const picture = document.createElement("img");
    picture.src = image.url;
    picture.alt = `Image ${image.id} of ${image.shard}: is ${image.is}, said ${image.said}`;
    const note = document.createElement("small");
    note.textContent = `${(100 * image.probability).toFixed(0)} %\n${image.id}`;
    item.append(picture, note);
    return item;
  }

  function open(button) {
    buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
    const { is, said } = button.dataset;
    const count = Number(button.dataset.count);
    const shown = images.filter((image) => String(image.is) === is && String(image.said) === said);
    const heading = document.createElement("h4");
    const what = is === said ? `${is}, and said to be` : `${is}, but said to be ${said}`;
    const which = is === said ? "the least sure" : "the surest";
    const part = shown.length < count ? ` Shown: ${which} ${shown.length}.` : "";
    heading.textContent = `${count.toLocaleString("en")} ${count === 1 ? "image is" : "images are"} ${what}.${part}`;
    const list = document.createElement("ul");
    list.className = "tiles small";
    list.append(...shown.map(tile));
    panel.replaceChildren(heading, list);
  }

  buttons.forEach((button) => button.addEventListener("click", () => open(button)));
  // begin with the commonest error
  const errors = Array.from(buttons).filter((button) => button.dataset.is !== button.dataset.said);
  errors.sort((a, b) => b.dataset.count - a.dataset.count);
  if (errors.length) open(errors[0]);
}

if (document.getElementById("cells")) startConfusion();
