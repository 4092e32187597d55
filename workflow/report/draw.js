// Drawing a digit: the pen, the input image, and the network that classifies it.
"use strict";

const SIDE = 28; // height and width of an image, pixels
const BOX = 20; // height and width of the box that a digit of MNIST fills, pixels
const PEN = 2.3; // width of a stroke in the image, pixels
const FINE = 10; // a drawing is rendered at this scale, then averaged to the size of an image

// --- The network ------------------------------------------------------------------------------

// IEEE 754 half precision: 1 sign bit, 5 exponent bits, 10 fraction bits
function halfToNumber(bits) {
  const sign = bits >> 15 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function readNetwork(about) {
  const bytes = Uint8Array.from(atob(about.weights), (letter) => letter.charCodeAt(0));
  const halves = new DataView(bytes.buffer);
  let offset = 0;
  const take = (count) => Float32Array.from({ length: count }, () => halfToNumber(halves.getUint16(2 * offset++, true)));
  return about.biases.map((hasBias, i) => {
    const [inputs, outputs] = about.sizes.slice(i, i + 2);
    const weight = take(inputs * outputs);
    return { inputs, outputs, weight, bias: hasBias ? take(outputs) : new Float32Array(outputs) };
  });
}

// Return the probability of each class. Pixel values are from 0 to 1.
function classify(layers, pixels) {
  let below = pixels;
  layers.forEach((layer, i) => {
    const above = Float32Array.from(layer.bias);
    for (let input = 0; input < layer.inputs; input++) {
      if (below[input] === 0) continue;
      const row = input * layer.outputs;
      for (let unit = 0; unit < layer.outputs; unit++) above[unit] += below[input] * layer.weight[row + unit];
    }
    if (i < layers.length - 1) above.forEach((value, unit) => { above[unit] = Math.max(0, value); });
    below = above;
  });
  const largest = Math.max(...below);
  const exponentials = Array.from(below, (logit) => Math.exp(logit - largest));
  const sum = exponentials.reduce((a, b) => a + b);
  return exponentials.map((value) => value / sum);
}

// Return a deskewed and rescaled image, computed as in ann/preprocess.py.
function preprocess(image, about) {
  const { deskew, ink_spread: inkSpread } = about.preprocess;
  if (!deskew && inkSpread === null) return image;
  const [down, across] = inkSpread ?? [null, null];
  const columns = transpose(resampleRows(transpose(image), false, down));
  return resampleRows(columns, deskew, across).map((value) => Math.round(about.pixel_max * value) / about.pixel_max);
}

function readInput(image, about) {
  return about.input === "edges" ? findEdges(image) : image;
}

// Return the strength of the edges in eight directions, computed as in ann/edges.py.
function findEdges(image) {
  const at = (x, y) => (x < 0 || x >= SIDE || y < 0 || y >= SIDE ? 0 : image[y * SIDE + x]);
  const side = SIDE / 2;
  const edges = new Float32Array(8 * side * side);
  for (let y = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++) {
      const column = (dx) => at(x + dx, y - 1) + 2 * at(x + dx, y) + at(x + dx, y + 1);
      const row = (dy) => at(x - 1, y + dy) + 2 * at(x, y + dy) + at(x + 1, y + dy);
      const [right, down] = [column(1) - column(-1), row(1) - row(-1)];
      const diagonal = Math.min(Math.abs(right), Math.abs(down));
      const square = Math.floor(y / 2) * side + Math.floor(x / 2);
      const add = (direction, strength) => { edges[direction * side * side + square] += strength / 8; };
      add(right > 0 ? 0 : 1, Math.abs(right) - diagonal);
      add(down > 0 ? 2 : 3, Math.abs(down) - diagonal);
      add(4 + (right > 0 ? 0 : 2) + (down > 0 ? 0 : 1), Math.SQRT2 * diagonal);
    }
  }
  return edges;
}

function transpose(image) {
  return image.map((_, i) => image[(i % SIDE) * SIDE + Math.floor(i / SIDE)]);
}

function resampleRows(image, deskew, inkSpread) {
  const at = (x, y) => (x < 0 || x >= SIDE ? 0 : image[y * SIDE + x]);
  const sum = (of) => image.reduce((total, value, i) => total + value * of(i % SIDE, Math.floor(i / SIDE)), 0);
  const mass = sum(() => 1);
  if (!(mass > 0)) return image;
  const [centreX, centreY] = [sum((x) => x) / mass, sum((_, y) => y) / mass];
  const variance = sum((_, y) => (y - centreY) ** 2) / mass;
  const covariance = sum((x, y) => (x - centreX) * (y - centreY)) / mass;
  const slant = deskew && variance > 0 ? Math.min(1, Math.max(-1, covariance / variance)) : 0;
  const breadth = Math.sqrt(sum((x, y) => (x - centreX - slant * (y - centreY)) ** 2) / mass);
  const step = inkSpread !== null ? Math.min(1.5, Math.max(1 / 1.5, breadth / inkSpread)) : 1;
  return image.map((_, i) => {
    const [x, y] = [i % SIDE, Math.floor(i / SIDE)];
    const from = centreX + slant * (y - centreY) + step * (x - centreX);
    const left = Math.floor(from);
    return at(left, y) + (from - left) * (at(left + 1, y) - at(left, y));
  });
}

// --- The image --------------------------------------------------------------------------------

// Return strokes as an image like those of MNIST: scaled to a box of 20 pixels, with the centre of mass in the middle.
function strokesToImage(strokes) {
  const points = strokes.flat();
  const xs = points.map((point) => point.x);
  const ys = points.map((point) => point.y);
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const size = Math.max(Math.max(...xs) - left, Math.max(...ys) - top);
  // drawings smaller than a tenth of the square do not fill the box, so that a dot remains a dot
  const scale = (BOX - PEN) / Math.max(size, 0.1);
  const placed = (dx, dy) => strokes.map((stroke) => stroke.map(({ x, y }) => ({
    x: (x - left) * scale + PEN / 2 + dx,
    y: (y - top) * scale + PEN / 2 + dy,
  })));
  const ink = rasterize(placed(0, 0));
  let [mass, massX, massY] = [0, 0, 0];
  ink.forEach((value, i) => {
    mass += value;
    massX += value * ((i % SIDE) + 0.5);
    massY += value * (Math.floor(i / SIDE) + 0.5);
  });
  return rasterize(placed(SIDE / 2 - massX / mass, SIDE / 2 - massY / mass));
}

// Return strokes in image coordinates as pixels from 0 to 1. A pixel is the mean of FINE × FINE rendered pixels.
function rasterize(strokes) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE * FINE;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  drawStrokes(context, strokes, FINE, PEN * FINE, "#fff");
  const fine = context.getImageData(0, 0, canvas.width, canvas.height).data;
  const image = new Float32Array(SIDE * SIDE);
  for (let i = 0; i < canvas.width * canvas.height; i++) {
    const row = Math.floor(i / canvas.width / FINE);
    const column = Math.floor((i % canvas.width) / FINE);
    image[row * SIDE + column] += fine[4 * i + 3] / 255 / FINE ** 2;
  }
  return image;
}

function drawStrokes(context, strokes, scale, width, color) {
  Object.assign(context, { lineWidth: width, lineCap: "round", lineJoin: "round", strokeStyle: color });
  for (const stroke of strokes) {
    context.beginPath();
    context.moveTo(stroke[0].x * scale, stroke[0].y * scale);
    for (const point of stroke) context.lineTo(point.x * scale, point.y * scale);
    context.stroke();
  }
}

// --- The square -------------------------------------------------------------------------------

function startDrawing() {
  const about = JSON.parse(document.getElementById("network").textContent);
  const layers = readNetwork(about);
  const pad = document.getElementById("pad");
  const context = pad.getContext("2d");
  const bars = Array.from(document.querySelectorAll(".bars li"));
  const prediction = document.getElementById("prediction");
  let strokes = [];
  let drawing = false;

  // coordinates are shares of the square's width and height, so that its size on the screen does not matter
  const toShares = (event) => {
    const frame = pad.getBoundingClientRect();
    return { x: (event.clientX - frame.left) / frame.width, y: (event.clientY - frame.top) / frame.height };
  };

  function repaint() {
    context.clearRect(0, 0, pad.width, pad.height);
    if (strokes.length) return drawStrokes(context, strokes, pad.width, pad.width / 14, getComputedStyle(pad).color);
    Object.assign(context, { font: `${pad.width / 13}px system-ui, sans-serif`, textAlign: "center", fillStyle: getComputedStyle(pad).color });
    context.fillText("draw here", pad.width / 2, pad.height / 2);
    context.font = `${pad.width / 22}px system-ui, sans-serif`;
    context.fillText("or drop a photo", pad.width / 2, pad.height / 2 + pad.width / 13);
  }

  function show(drawn) {
    const image = preprocess(drawn, about);
    const input = document.getElementById("input").getContext("2d");
    const picture = input.createImageData(SIDE, SIDE);
    image.forEach((value, i) => picture.data.set([255 * value, 255 * value, 255 * value, 255], 4 * i));
    input.putImageData(picture, 0, 0);
    const probabilities = image.some((value) => value > 0) ? classify(layers, readInput(image, about)) : null;
    const best = probabilities ? probabilities.indexOf(Math.max(...probabilities)) : -1;
    bars.forEach((bar, digit) => {
      const share = probabilities ? probabilities[digit] : 0;
      bar.querySelector(".fill").style.height = `${100 * share}%`;
      bar.querySelector(".visually-hidden").textContent = `: ${(100 * share).toFixed(1)} %`;
      bar.classList.toggle("top", digit === best);
    });
    prediction.textContent = probabilities
      ? `Prediction: ${about.labels[best]} (${(100 * probabilities[best]).toFixed(1)} %)`
      : "Prediction: none yet";
  }

  function clear() {
    strokes = [];
    drawing = false;
    repaint();
    show(new Float32Array(SIDE * SIDE));
  }

  pad.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    pad.setPointerCapture(event.pointerId);
    drawing = true;
    strokes.push([toShares(event)]);
    repaint();
    show(strokesToImage(strokes));
  });
  pad.addEventListener("pointermove", (event) => {
    if (!drawing) return;
    const passed = event.getCoalescedEvents?.() ?? [];
    strokes.at(-1).push(...(passed.length ? passed : [event]).map(toShares));
    repaint();
    show(strokesToImage(strokes));
  });
  for (const end of ["pointerup", "pointercancel"]) pad.addEventListener(end, () => { drawing = false; });
  document.getElementById("clear").addEventListener("click", clear);

  function showPhoto(canvas, found) {
    clear();
    const scale = Math.min(pad.width / canvas.width, pad.height / canvas.height);
    const [width, height] = [canvas.width * scale, canvas.height * scale];
    context.clearRect(0, 0, pad.width, pad.height);
    context.drawImage(canvas, (pad.width - width) / 2, (pad.height - height) / 2, width, height);
    if (!found) return refuse("no digit found; write one digit with a dark pen on light paper");
    show(found.image);
    if (found.others) prediction.textContent += "; there is more than one digit, and this is the largest";
  }

  function refuse(sentence) {
    show(new Float32Array(SIDE * SIDE));
    prediction.textContent = `Prediction: none; ${sentence}`;
  }

  startPhotos(pad.closest(".draw"), showPhoto, refuse);

  for (const button of document.querySelectorAll(".examples button")) {
    button.addEventListener("click", () => {
      clear();
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = SIDE;
      const copy = canvas.getContext("2d");
      copy.drawImage(button.querySelector("img"), 0, 0);
      const data = copy.getImageData(0, 0, SIDE, SIDE).data;
      show(Float32Array.from({ length: SIDE * SIDE }, (_, i) => data[4 * i] / 255));
    });
  }
  clear();
}

if (document.getElementById("network")) startDrawing();
