// The page of a classifier: it reads pictures as the project does, asks the model, and writes what it says.
"use strict";

const about = JSON.parse(document.getElementById("about").textContent);
const said = document.getElementById("said");
const list = document.getElementById("answers");
const save = document.getElementById("save");
const rows = [];
const LARGEST = 89478485;  // pixels, as elsewhere in the project
const STRIP = 256;         // rows of a picture that are read at a time

// The module at the end of the page calls this once it has read the runtime.
let tellRuntime;
const model = new Promise(resolve => { tellRuntime = resolve; }).then(startModel);

async function unpack(id) {
  const packed = document.getElementById(id);
  const text = atob(packed.textContent);
  packed.remove();
  const bytes = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// The runtime is handed its program, which it would fetch from a server otherwise.
async function openBinary(Library) {
  const printErr = line => (/^(INFO|WARNING)/.test(line) ? console.debug : console.error)(line);
  return new Library(await ModuleFactory({wasmBinary: await unpack("binary"), printErr}));
}

async function startModel(runtime) {
  await runtime.start();
  const compiled = await runtime.loadAndCompile(await unpack("model"), {accelerator: "wasm"});
  const known = about.farthest ? new Int16Array((await unpack("known")).buffer) : null;
  const side = about.image_size;
  return async image => {
    const input = new runtime.Tensor(image, [1, side, side, 3]);
    const outputs = Object.entries(await compiled.run({images: input}));
    const {output_0: probabilities, output_1: features} = Object.fromEntries(
      outputs.map(([name, output]) => [name, Float64Array.from(output.toTypedArray())]));
    for (const one of [input, ...outputs.map(([, output]) => output)]) one.delete();
    return {probabilities, distance: known && measureDistance(features, known)};
  };
}

// The mean distance to the five nearest training pictures; of all the features have the length 1.
function measureDistance(features, known) {
  const length = Math.hypot(...features) || 1, distances = [];
  for (let row = 0; row < known.length; row += features.length) {
    let sum = 0;
    for (let k = 0; k < features.length; k++) sum += (features[k] / length - known[row + k] / 32767) ** 2;
    distances.push(Math.sqrt(sum));
  }
  const nearest = distances.sort((a, b) => a - b).slice(0, 5);
  return nearest.reduce((a, b) => a + b) / nearest.length;
}

// Each source row (or column) lies in a cell, and what of it reaches beyond lies in the next one.
function divide(from, to) {
  const cells = new Int32Array(from), shares = new Float64Array(from), size = from / to;
  for (let k = 0; k < from; k++) {
    cells[k] = Math.min(Math.floor(k / size), to - 1);
    shares[k] = Math.min(1, Math.max(0, (cells[k] + 1) * size - k));
  }
  return {cells, shares};
}

// Add a row of RGBA bytes to the sums of its cells, three colours each.
function addRow(sums, data, start, count, cells, shares) {
  for (let x = 0, k = start; x < count; x++, k += 4) {
    const share = shares[x], rest = 1 - share, place = 3 * cells[x];
    const red = data[k], green = data[k + 1], blue = data[k + 2];
    sums[place] += share * red;
    sums[place + 1] += share * green;
    sums[place + 2] += share * blue;
    sums[place + 3] += rest * red;
    sums[place + 4] += rest * green;
    sums[place + 5] += rest * blue;
  }
}

// Shrink a picture by averaging areas, as OpenCV's INTER_AREA does, a strip after the other.
function shrink(picture, width, height) {
  const {cells, shares} = divide(picture.width, width), lines = divide(picture.height, height);
  const row = new Float64Array(3 * (width + 1)), sums = new Float64Array(row.length * (height + 1));
  const canvas = new OffscreenCanvas(picture.width, Math.min(STRIP, picture.height));
  const pen = canvas.getContext("2d", {willReadFrequently: true});
  for (let top = 0; top < picture.height; top += STRIP) {
    const strip = Math.min(STRIP, picture.height - top);
    pen.fillStyle = "white";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(picture, 0, top, picture.width, strip, 0, 0, picture.width, strip);
    const {data} = pen.getImageData(0, 0, picture.width, strip);
    // A canvas that is larger than the browser allows holds nothing, and says nothing.
    if (data[3] !== 255) throw new Error("it is too wide for this browser");
    for (let y = 0; y < strip; y++) {
      row.fill(0);
      addRow(row, data, 4 * y * picture.width, picture.width, cells, shares);
      const share = lines.shares[top + y], place = row.length * lines.cells[top + y];
      for (let k = 0; k < row.length; k++) {
        sums[place + k] += share * row[k];
        sums[place + row.length + k] += (1 - share) * row[k];
      }
    }
  }
  const area = (picture.width / width) * (picture.height / height);
  const means = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    for (let k = 0; k < 3 * width; k++) {
      means[3 * width * y + k] = Math.round(sums[row.length * y + k] / area);
    }
  }
  return means;
}

// Between which two source pixels each pixel lies, and how near it is to the second.
function place(from, to) {
  return Array.from({length: to}, (_, k) => {
    const at = Math.min(Math.max((k + 0.5) * from / to - 0.5, 0), from - 1);
    const first = Math.floor(at);
    return [first, Math.min(first + 1, from - 1), at - first];
  });
}

// Enlarge a picture to a square, as OpenCV's INTER_LINEAR does.
function enlarge(pixels, width, height, side) {
  const across = place(width, side), down = place(height, side);
  const square = new Uint8Array(3 * side * side);
  let k = 0;
  for (const [upper, lower, near] of down) {
    for (const [left, right, close] of across) {
      for (let c = 0; c < 3; c++) {
        const mix = y => (1 - close) * pixels[3 * (width * y + left) + c]
          + close * pixels[3 * (width * y + right) + c];
        square[k++] = Math.round((1 - near) * mix(upper) + near * mix(lower));
      }
    }
  }
  return square;
}

function square(picture) {
  const side = about.image_size;
  const width = Math.min(picture.width, side), height = Math.min(picture.height, side);
  const small = shrink(picture, width, height);
  return width === side && height === side ? small : enlarge(small, width, height, side);
}

// Divide the logits by the temperature, so that a probability can be taken at its word.
function scale(probabilities) {
  const most = Math.max(...probabilities);
  const powers = probabilities.map(p => (Math.max(p, 1e-37) / most) ** (1 / about.temperature));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map(p => p / sum);
}

function describeSet(names) {
  if (names.length === 1) return `just this one: ${names[0]}`;
  if (names.length === about.class_names.length) return "can't tell: it may be any class";
  const numbers = ["two", "three", "four", "five", "six", "seven", "eight", "nine"];
  return `one of these ${numbers[names.length - 2] || names.length}: ${names.join(", ")}`;
}

// Of several labels those above their thresholds, the most probable first.
function decideLabels(order, probabilities) {
  const named = order.filter(k => probabilities[k] >= about.thresholds[k]);
  return {
    label: named.map(k => about.class_names[k]).join("|"),
    probability: named.map(k => probabilities[k].toFixed(6)).join("|"),
    shown: named.map(k => about.class_names[k]).join(", ") || "none of its labels",
    percent: named.map(k => writePercent(probabilities[k])).join(", "),
  };
}

const writePercent = share => `${(100 * share).toFixed(1)} %`;

function decide({probabilities, distance}) {
  const order = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
  if (about.thresholds) return decideLabels(order, probabilities);
  const scaled = scale(probabilities), probability = scaled[order[0]];
  const held = order.filter((k, rank) => rank === 0 || scaled[k] >= about.limit);
  return {
    label: about.class_names[order[0]],
    probability: probability.toFixed(6),
    shown: about.class_names[order[0]],
    percent: writePercent(probability),
    set: about.limit === null ? null : held.map(k => about.class_names[k]),
    note: distance > about.farthest ? about.note : "",
  };
}

// From marker to marker: a thumbnail in the head of a file has an end of its own.
function hasEndOfJpeg(bytes) {
  for (let at = 2; at + 1 < bytes.length;) {
    const kind = bytes[at + 1];
    if (bytes[at] !== 255 || kind === 255) at += 1;
    else if (kind === 0xd9) return true;
    else if (kind < 2 || (kind >= 0xd0 && kind < 0xd8)) at += 2;  // what has no length
    else at += 2 + 256 * bytes[at + 2] + bytes[at + 3];
  }
  return false;
}

function hasEndOfPng(bytes, view) {
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    if (view.getUint32(at + 4) === 0x49454e44) return true;  // IEND
  }
  return false;
}

// Some browsers show what is left of a picture, and the rest grey.
function isCutOff(bytes, head) {
  const view = new DataView(bytes.buffer);
  if (head.startsWith("\xff\xd8")) return !hasEndOfJpeg(bytes);
  if (head.startsWith("\x89PNG")) return !hasEndOfPng(bytes, view);
  if (head.startsWith("GIF8")) return bytes[bytes.length - 1] !== 0x3b;
  // These two say in their head how long they are.
  if (head.startsWith("RIFF")) return view.getUint32(4, true) + 8 > bytes.length;
  return head.startsWith("BM") && view.getUint32(2, true) > bytes.length;
}

async function answer(file) {
  const ask = await model;
  // So that the page can be scrolled between two pictures.
  await new Promise(done => setTimeout(done));
  let picture = null, head = "";
  try {
    const bytes = new Uint8Array(await file.arrayBuffer());
    head = String.fromCharCode(...bytes.subarray(0, 12));
    if (isCutOff(bytes, head)) return {problem: "the file is cut off: its end is missing"};
    picture = await createImageBitmap(file);
  } catch {
    if (/^.{4}ftyp(hei|hev|mif|msf)/s.test(head)) return {problem: "HEIC, which this browser can't read: save it as JPEG"};
    return {problem: "this browser can't read it as a picture"};
  }
  try {
    if (picture.width * picture.height > LARGEST) return {problem: "it has more than 89 million pixels"};
    return {...decide(await ask(square(picture))), thumbnail: draw(picture)};
  } catch (error) {
    return {problem: error.message};
  } finally {
    picture.close();
  }
}

function draw(picture) {
  const canvas = document.createElement("canvas"), side = 240 / Math.max(picture.width, picture.height);
  canvas.width = Math.max(1, Math.round(picture.width * side));
  canvas.height = Math.max(1, Math.round(picture.height * side));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  canvas.setAttribute("aria-hidden", "true");
  return canvas;
}

function write(kind, text) {
  const part = document.createElement(kind === "file" ? "h3" : "p");
  part.className = kind;
  part.textContent = text;
  return part;
}

function show(file, found) {
  const item = document.createElement("li"), words = document.createElement("div");
  words.append(write("file", file.name));
  if (found.problem) {
    words.append(write("problem", found.problem));
  } else {
    words.append(write("class", found.shown), write("percent", found.percent));
    if (found.set) words.append(write("set", describeSet(found.set)));
    if (found.note) words.append(write("note", found.note));
    item.append(found.thumbnail);
  }
  item.append(words);
  list.append(item);
  rows.push({file: file.name, ...found});
}

// One picture after the other; who chooses some before the model is ready is answered then.
let queue = Promise.resolve();
let chosen = 0, isReady = false, failure = "";

function add(files) {
  for (const file of files) {
    chosen += 1;
    queue = queue.then(() => answer(file)).then(found => {
      show(file, found);
      report();
    }).catch(fail);
  }
  report();
}

function report() {
  save.hidden = rows.length === 0;
  const lacking = rows.filter(row => row.problem).length;
  const answered = `${rows.length - lacking} of ${chosen} answered`;
  if (failure) said.textContent = failure;
  else if (rows.length < chosen) said.textContent = `${answered}. The next one is being looked at…`;
  else if (chosen) said.textContent = `${answered}${lacking ? `; ${lacking} can't be` : ""}.`;
  else said.textContent = isReady ? "Ready for your pictures." : "Getting ready…";
}

function fail(error) {
  failure = `The classifier can't run here (${error?.message || error}). `
    + "It needs a browser of 2023 or later.";
  report();
}

function writeCell(value) {
  const text = String(value ?? "");
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function saveTable() {
  const columns = ["file", "label", "probability", "set", "note", "problem"];
  const lines = rows.map(row => columns.map(column => {
    if (column === "set") return row.set ? `[${row.set.map(name => JSON.stringify(name)).join(", ")}]` : "";
    return row[column];
  }));
  const text = [columns, ...lines].map(line => line.map(writeCell).join(",") + "\n").join("");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: "text/csv"}));
  link.download = "answers.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// The pictures of a folder, of those in it, too, in the order of their names.
async function listFiles(place) {
  if (place instanceof File) return [place];
  if (place.getFile) return [await place.getFile()];
  if (place.isFile) return [await new Promise((done, failed) => place.file(done, failed))];
  const inside = [];
  if (place.values) {
    for await (const one of place.values()) inside.push(one);
  } else {
    const reader = place.createReader();
    const read = () => new Promise((done, failed) => reader.readEntries(done, failed));
    for (let some = await read(); some.length; some = await read()) inside.push(...some);
  }
  inside.sort((a, b) => (a.name < b.name ? -1 : 1));
  const files = (await Promise.all(inside.map(listFiles))).flat();
  return files.filter(file => /^image/.test(file.type) || /\.(hei[cf]|avif|tiff?)$/i.test(file.name));
}

save.addEventListener("click", saveTable);
const chooser = document.getElementById("pictures");
chooser.addEventListener("change", () => {
  add([...chooser.files]);
  chooser.value = "";  // The same file may be chosen again.
});
document.addEventListener("dragover", event => {
  event.preventDefault();
  document.body.classList.add("dragging");
});
document.addEventListener("dragleave", () => document.body.classList.remove("dragging"));
document.addEventListener("drop", async event => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  // Of a page that lies on a disk Chromium opens folders by handles alone, which others don't know.
  const places = [...event.dataTransfer.items].map(item => {
    if (!item.webkitGetAsEntry()?.isDirectory) return item.getAsFile();
    return item.getAsFileSystemHandle?.() ?? item.webkitGetAsEntry();
  });
  for (const place of places) add(await listFiles(await place));
});
document.addEventListener("paste", event => add([...event.clipboardData.files]));
model.then(() => {
  isReady = true;
  report();
}, fail);
// A module that this browser can't read.
addEventListener("error", event => isReady || fail(event.error ?? event.message));
report();
