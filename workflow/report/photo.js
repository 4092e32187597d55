// Photos: find the digit as ann/photo.py does, where the steps and numbers are explained.
"use strict";

const LARGEST = 640;
const NOISY = 48;
const WINDOW = 0.3;
const ROUNDS = 30;
const LEAST_PIXELS = 20;
const LEAST_CONTRAST = 0.15;
const LEAST_SEPARATION = 3.5;
const LEAST_SIZE = 0.05;
const JOIN = 0.05;
const NEAR = 0.25;
const PART = 0.03;
const LARGEST_CANVAS = 4000; // pixels; some browsers cannot read the pixels of larger ones

// Return a canvas with an image file, upright as its EXIF data says; transparent pixels are white.
async function readPhoto(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, LARGEST_CANVAS / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height].map((size) => Math.max(1, Math.round(scale * size)));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas;
}

// Return { image, others }: the largest digit as 28 × 28 values from 0 to 1, and whether there are others; or null.
function findDigit(canvas) {
  const grey = reduceSize(readGrey(canvas));
  const ink = measureInk(hasLightInk(grey) ? mapGrid(grey, (value) => 255 - value) : grey);
  const threshold = findThreshold(ink.values);
  if (threshold === null) return null;
  const { mask, others } = selectDigit(mapGrid(ink, (value) => Number(value > threshold)));
  const around = spreadMaximum(mask, 1).values;
  const strokes = mapGrid(ink, (value, i) => around[i] * Math.min(1, Math.max(0, value / threshold - 0.5)));
  return { image: scaleToBox(strokes), others };
}

// --- Grids: { height, width, values } -----------------------------------------------------------

function makeGrid(height, width, valueAt) {
  const values = new Float64Array(height * width);
  for (let i = 0; i < values.length; i++) values[i] = valueAt(Math.floor(i / width), i % width);
  return { height, width, values };
}

function mapGrid(grid, change) {
  return { ...grid, values: grid.values.map(change) };
}

// Return the grid with a frame of `size` pixels, which repeat the pixels at its edge, or are `outside`.
function addFrame({ height, width, values }, size, outside) {
  return makeGrid(height + 2 * size, width + 2 * size, (y, x) => {
    const [row, column] = [Math.min(height - 1, Math.max(0, y - size)), Math.min(width - 1, Math.max(0, x - size))];
    const inside = row === y - size && column === x - size;
    return inside || outside === undefined ? values[row * width + column] : outside;
  });
}

function removeFrame({ height, width, values }, size) {
  return makeGrid(height - 2 * size, width - 2 * size, (y, x) => values[(y + size) * width + x + size]);
}

function readGrey(canvas) {
  const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  // the rounded brightness of ITU-R BT.601, as Pillow computes it
  return makeGrid(height, width, (y, x) => {
    const i = 4 * (y * width + x);
    return (19595 * data[i] + 38470 * data[i + 1] + 7471 * data[i + 2] + 32768) >> 16;
  });
}

function reduceSize({ height, width, values }) {
  const step = Math.ceil(Math.max(height, width) / LARGEST);
  const [down, across] = [Math.min(step, height), Math.min(step, width)];
  return makeGrid(Math.floor(height / down), Math.floor(width / across), (row, column) => {
    let sum = 0;
    for (let y = row * down; y < (row + 1) * down; y++) {
      for (let x = column * across; x < (column + 1) * across; x++) sum += values[y * width + x];
    }
    return sum / (down * across);
  });
}

// Return the maximum over a square of 2 · radius + 1 pixels around each pixel.
function spreadMaximum(grid, radius) {
  const { height, width } = grid;
  const values = Float64Array.from(grid.values);
  const spreadLine = (start, step, count) => {
    const line = new Float64Array(count + 2 * radius);
    for (let i = 0; i < line.length; i++) line[i] = values[start + step * Math.min(count - 1, Math.max(0, i - radius))];
    for (let size = 1; size < 2 * radius + 1;) {
      const shift = Math.min(size, 2 * radius + 1 - size);
      for (let i = 0; i + shift < line.length; i++) line[i] = Math.max(line[i], line[i + shift]);
      size += shift;
    }
    for (let i = 0; i < count; i++) values[start + step * i] = line[i];
  };
  for (let row = 0; row < height; row++) spreadLine(row * width, 1, width);
  for (let column = 0; column < width; column++) spreadLine(column, width, height);
  return { height, width, values };
}

// --- Ink and paper ------------------------------------------------------------------------------

function hasLightInk(grey) {
  const { height, width } = grey;
  const radius = Math.floor((WINDOW / 2) * Math.min(height, width)) + 1;
  const mean = Float64Array.from(grey.values);
  const averageLine = (start, step, count) => {
    const sums = new Float64Array(count + 1);
    for (let i = 0; i < count; i++) sums[i + 1] = sums[i] + mean[start + step * i];
    for (let i = 0; i < count; i++) {
      const [first, last] = [Math.max(0, i - radius), Math.min(count, i + radius + 1)];
      mean[start + step * i] = (sums[last] - sums[first]) / (last - first);
    }
  };
  for (let column = 0; column < width; column++) averageLine(column, width, height);
  for (let row = 0; row < height; row++) averageLine(row * width, 1, width);
  return grey.values.reduce((sum, value, i) => sum + (value - mean[i]) ** 3, 0) > 0;
}

function measureInk(grey) {
  const least = Math.min(grey.height, grey.width);
  const blur = Number(least >= NOISY);
  const framed = addFrame(grey, blur);
  const smooth = makeGrid(grey.height, grey.width, (row, column) => {
    let sum = 0;
    for (let y = row; y <= row + 2 * blur; y++) {
      for (let x = column; x <= column + 2 * blur; x++) sum += framed.values[y * framed.width + x];
    }
    return sum / (2 * blur + 1) ** 2;
  });
  const radius = Math.floor((WINDOW / 2) * least) + 1;
  const negative = (grid) => mapGrid(grid, (value) => -value);
  const closed = negative(spreadMaximum(negative(spreadMaximum(addFrame(smooth, radius), radius)), radius));
  const paper = removeFrame(closed, radius).values;
  return mapGrid(smooth, (value, i) => 1 - value / Math.max(paper[i], 1));
}

function findThreshold(ink) {
  const sorted = Float64Array.from(ink).sort();
  const middle = (sorted.length - 1) / 2;
  let paper = (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
  let strokes = sorted[Math.max(0, sorted.length - LEAST_PIXELS)];
  if (strokes - paper < LEAST_CONTRAST) return null;
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  let light = sorted;
  for (let round = 0; round < ROUNDS; round++) {
    const first = sorted.findIndex((value) => value > (paper + strokes) / 2);
    if (first === light.length) break;
    light = sorted.subarray(0, first);
    [paper, strokes] = [mean(light), mean(sorted.subarray(first))];
  }
  const spread = Math.sqrt(mean(light.map((value) => (value - paper) ** 2)));
  const distinct = strokes - paper > Math.max(LEAST_CONTRAST, LEAST_SEPARATION * spread);
  return distinct ? (paper + strokes) / 2 : null;
}

// --- The parts of the digit -----------------------------------------------------------------------

function selectDigit(mask) {
  const parts = [...measureParts(labelParts(mask)).values()];
  const least = LEAST_SIZE * Math.min(mask.height, mask.width);
  const inner = parts.filter((part) => !part.touchesEdge && part.size >= least);
  const largest = (inner.length ? inner : parts).reduce((a, b) => (b.pixels > a.pixels ? b : a));
  const joined = labelParts(spreadMaximum(mask, Math.floor(JOIN * largest.size)));
  const labels = mapGrid(joined, (label, i) => label * mask.values[i]);
  const groups = measureParts(labels);
  const main = labels.values[largest.first];
  const digit = groups.get(main);
  const chosen = new Set([main]);
  let others = false;
  for (const [label, part] of groups) {
    if (label === main || (part.touchesEdge && !digit.touchesEdge)) continue;
    const gap = Math.max(part.top - digit.bottom, digit.top - part.bottom, part.left - digit.right, digit.left - part.right, 0);
    const near = gap <= NEAR * digit.size;
    const centre = (part.left + part.right) / 2;
    const beside = centre < digit.left || centre > digit.right;
    if (part.height >= digit.height / 2 && (beside || !near)) others = true;
    else if (near && part.pixels >= PART * digit.pixels) chosen.add(label);
  }
  return { mask: mapGrid(labels, (label) => Number(chosen.has(label))), others };
}

function labelParts(mask) {
  const { height, width, values } = addFrame(mask, 1, 0);
  const labels = new Float64Array(values.length);
  const steps = [-1, 0, 1].flatMap((row) => [-1, 0, 1].map((column) => row * width + column));
  let label = 0;
  values.forEach((value, start) => {
    if (!value || labels[start]) return;
    labels[start] = ++label;
    const stack = [start];
    while (stack.length) {
      const place = stack.pop();
      for (const step of steps) {
        if (!values[place + step] || labels[place + step]) continue;
        labels[place + step] = label;
        stack.push(place + step);
      }
    }
  });
  return removeFrame({ height, width, values: labels }, 1);
}

function measureParts({ height, width, values }) {
  const parts = new Map();
  values.forEach((label, i) => {
    if (!label) return;
    const [y, x] = [Math.floor(i / width), i % width];
    if (!parts.has(label)) parts.set(label, { pixels: 0, first: i, top: y, bottom: y, left: x, right: x });
    const part = parts.get(label);
    part.pixels += 1;
    part.bottom = y;
    [part.left, part.right] = [Math.min(part.left, x), Math.max(part.right, x)];
  });
  for (const part of parts.values()) {
    part.height = part.bottom - part.top + 1;
    part.size = Math.max(part.height, part.right - part.left + 1);
    part.touchesEdge = Math.min(part.top, part.left) === 0 || part.bottom === height - 1 || part.right === width - 1;
  }
  return parts;
}

// --- The image ------------------------------------------------------------------------------------

function scaleToBox({ height, width, values }) {
  const [rows, columns] = [new Float64Array(height), new Float64Array(width)];
  values.forEach((value, i) => {
    rows[Math.floor(i / width)] += value;
    columns[i % width] += value;
  });
  const length = (sums) => sums.findLastIndex((sum) => sum > 0) - sums.findIndex((sum) => sum > 0) + 1;
  const scale = Math.max(length(rows), length(columns)) / BOX;
  const [down, across] = [areaWeights(rows, scale), areaWeights(columns, scale)];
  const image = new Float32Array(SIDE * SIDE);
  values.forEach((value, i) => {
    if (!value) return;
    for (const [row, ofRow] of down[Math.floor(i / width)]) {
      for (const [column, ofColumn] of across[i % width]) image[row * SIDE + column] += value * ofRow * ofColumn;
    }
  });
  const largest = Math.max(...image);
  return image.map((value) => value / largest);
}

// Return, for each row or column of the photo, the rows or columns of the image that cover it, and the weights.
function areaWeights(sums, scale) {
  const mass = sums.reduce((a, b) => a + b);
  const centre = sums.reduce((total, sum, i) => total + sum * (i + 0.5), 0) / mass;
  return Array.from(sums, (_, pixel) => {
    const weights = [];
    for (let cell = 0; cell < SIDE; cell++) {
      const start = centre + scale * (cell - SIDE / 2);
      const overlap = Math.min(start + scale, pixel + 1) - Math.max(start, pixel);
      if (overlap > 0) weights.push([cell, overlap / scale]);
    }
    return weights;
  });
}

// --- The drop target --------------------------------------------------------------------------------

// Call `show(canvas, found)` for each photo that is dropped on the target or chosen, and `refuse(sentence)` for others.
function startPhotos(target, show, refuse) {
  const chooser = document.getElementById("photo");
  const read = async (file) => {
    if (!file) return;
    let canvas;
    try {
      canvas = await readPhoto(file);
    } catch {
      refuse(`${file.name} cannot be read; save it as JPEG or PNG`);
      return;
    }
    show(canvas, findDigit(canvas));
  };
  document.getElementById("choose").addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => {
    read(chooser.files[0]);
    chooser.value = ""; // so that the same file can be chosen again
  });
  const highlight = (event) => {
    event.preventDefault();
    target.classList.toggle("over", event.type === "dragover");
  };
  for (const kind of ["dragover", "dragleave", "drop"]) target.addEventListener(kind, highlight);
  target.addEventListener("drop", (event) => read(event.dataTransfer.files[0]));
}
