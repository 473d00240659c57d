// The page of a classifier: it asks the model about pictures, and writes what it says.

const about = JSON.parse(document.getElementById("about").textContent);
const said = document.getElementById("said");
const card = document.getElementById("latest");
const save = document.getElementById("save");
const answers = [];

// The module at the end of the page calls this once it has read the runtime.
let tellRuntime;
const model = new Promise(resolve => { tellRuntime = resolve; }).then(startModel);

const decode64 = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));

async function unpack(id) {
  const packed = document.getElementById(id);
  const bytes = decode64(packed.textContent);
  packed.remove();
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// The runtime is handed its program, which it would fetch from a server otherwise.
async function createWasmLib(Library) {
  const printErr = line => (/^(INFO|WARNING)/.test(line) ? console.debug : console.error)(line);
  return new Library(await ModuleFactory({wasmBinary: await unpack("binary"), printErr}));
}

async function startModel(runtime) {
  await runtime.start();
  const compiled = await runtime.loadAndCompile(await unpack("model"), {accelerator: "wasm"});
  const known = about.farthest ? new Int16Array((await unpack("known")).buffer) : null;
  const shape = [1, about.image_size, about.image_size, 3];
  return async image => {
    const input = new runtime.Tensor(image, shape);
    const outputs = await compiled.run({images: input});
    const probabilities = Float64Array.from(outputs.output_0.toTypedArray());
    const features = outputs.output_1?.toTypedArray();
    for (const tensor of [input, ...Object.values(outputs)]) tensor.delete();
    return {probabilities, distance: known && measureDistance(features, known)};
  };
}

const mean = numbers => numbers.reduce((a, b) => a + b) / numbers.length;

// The mean distance to the five nearest training pictures; of all the features have the length 1.
function measureDistance(features, known) {
  const length = Math.hypot(...features) || 1;
  const distances = [];
  for (let row = 0; row < known.length; row += features.length) {
    let sum = 0;
    for (let k = 0; k < features.length; k++) {
      sum += (features[k] / length - known[row + k] / 32767) ** 2;
    }
    distances.push(Math.sqrt(sum));
  }
  return mean(distances.sort((a, b) => a - b).slice(0, 5));
}

// Divide the logits by the temperature, so that a probability is about the share that is right.
function scale(probabilities) {
  const most = Math.max(...probabilities);
  const powers = probabilities.map(p => (Math.max(p, 1e-37) / most) ** (1 / about.temperature));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map(p => p / sum);
}

const BARS = 3;  // answers that are shown with theirs
const writePercent = share => `${(100 * share).toFixed(1)} %`;

// Of several labels those above their thresholds, the most probable first.
function decideLabels(ranked) {
  const named = ranked.filter(one => one.probability >= about.thresholds[one.name]);
  return {
    label: named.map(one => one.name).join("|"),
    probability: named.map(one => one.probability.toFixed(6)).join("|"),
    shown: named.map(one => one.name).join(", ") || "none of its labels",
    percent: named.map(one => writePercent(one.probability)).join(", "),
    bars: ranked.slice(0, Math.max(BARS, named.length)),
  };
}

function decide({probabilities, distance}) {
  const scaled = about.thresholds ? probabilities : scale(probabilities);
  const ranked = about.class_names.map((name, index) => ({name, index, probability: scaled[index]}));
  ranked.sort((a, b) => b.probability - a.probability);
  if (about.thresholds) return decideLabels(ranked);
  // The most probable class is in the set even where it is not probable enough.
  const held = ranked.filter((one, rank) => rank === 0 || one.probability >= about.limit);
  const isStranger = about.farthest !== null && distance > about.farthest;
  return {
    label: ranked[0].name,
    probability: ranked[0].probability.toFixed(6),
    shown: ranked[0].name,
    percent: writePercent(ranked[0].probability),
    // What sets promise holds for pictures like those that it knows.
    set: isStranger || about.limit === null ? null : held.map(one => one.name),
    note: isStranger ? about.note : "",
    bars: ranked.slice(0, BARS),
  };
}

function describeSet(names) {
  return names?.length === about.class_names.length ? "any class" : names?.join(", ") ?? "";
}

const decline = problem => ({problem, thumbnail: ""});

// Return its answer, or a problem, never an error: the next picture is asked about all the same.
async function answer(file) {
  const ask = await model;
  // So that the page can be scrolled between two pictures.
  await new Promise(done => setTimeout(done));
  let picture = null;
  let head = "";
  try {
    const bytes = new Uint8Array(await file.arrayBuffer());
    head = String.fromCharCode(...bytes.subarray(0, 16));
    const problem = await describeProblem(file, bytes, head);
    if (problem) return decline(problem);
    picture = await createImageBitmap(file);
  } catch {
    const isHeic = /^.{4}ftyp(hei|hev|mif|msf)/s.test(head);
    return decline(isHeic ? "HEIC, which this browser can't read: save it as JPEG"
      : "this browser can't read it as a picture");
  }
  try {
    return {...decide(await ask(square(picture))), thumbnail: draw(picture, 240)};
  } catch (error) {
    return decline(error.message);
  } finally {
    picture.close();
  }
}

function draw(picture, side) {
  const canvas = document.createElement("canvas");
  const share = side / Math.max(picture.width, picture.height);
  canvas.width = Math.max(1, Math.round(picture.width * share));
  canvas.height = Math.max(1, Math.round(picture.height * share));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  canvas.setAttribute("aria-hidden", "true");
  return canvas;
}

// The warning goes before the answer.
function tell({note, problem, shown}) {
  const texts = Object.entries({note, problem, class: shown}).filter(([, text]) => text);
  return texts.map(([kind, text]) => make("p", {className: kind}, text));
}

function writeBar({name, probability}) {
  const bar = make("span", {className: "bar"});
  bar.style.width = writePercent(probability).replace(" ", "");
  return make("li", {}, bar, `${name} ${writePercent(probability)}`);
}

function tellMore(found) {
  const set = found.set ? [make("p", {className: "set"}, `Set: ${describeSet(found.set)}`)] : [];
  return [...tell(found), make("ol", {className: "bars"}, ...found.bars?.map(writeBar) ?? []), ...set];
}

function showCard(found, thumbnail) {
  const heading = make("h2", {className: "file"}, found.path);
  card.replaceChildren(thumbnail, make("div", {className: "words"}, heading, ...tellMore(found)));
  card.hidden = false;
}

// The large picture of the card is kept by nothing.
function showRow(found, thumbnail) {
  document.getElementById("older").prepend(make("tr", {},
    make("td", {}, thumbnail.width ? draw(thumbnail, 84) : ""),
    make("td", {className: "file"}, found.path),
    make("td", {}, ...tell(found)),
    make("td", {className: "percent"}, found.percent ?? ""),
    ...about.thresholds ? [] : [make("td", {className: "set"}, describeSet(found.set))],
  ));
  document.getElementById("earlier").hidden = false;
}

// One picture after the other; who chooses some before the model is ready is answered then.
let queue = Promise.resolve();
let chosen = 0;
let isReady = false;
let failure = "";

function show({thumbnail, ...found}) {
  if (answers.length) showRow(answers.at(-1), card.firstChild);
  answers.push(found);
  showCard(found, thumbnail);
  report();
}

function add(files) {
  for (const {file, path} of files) {
    chosen += 1;
    queue = queue.then(() => answer(file)).then(found => show({path, ...found})).catch(fail);
  }
  report();
  if (!files.length) said.textContent = "Nothing here is a picture.";
}

function describeProgress() {
  if (failure) return failure;
  if (!chosen) return isReady ? "Ready for your pictures." : "Getting ready…";
  const lacking = answers.filter(one => one.problem).length;
  const answered = `${answers.length - lacking} of ${chosen} answered`;
  if (answers.length < chosen) return `${answered}. The next one is being looked at…`;
  return lacking ? `${answered}; ${lacking} can't be.` : `${answered}.`;
}

function report() {
  save.hidden = answers.length === 0;
  said.textContent = describeProgress();
}

function fail(error) {
  failure = `The classifier can't run here (${error?.message || error}). `
    + "It needs a browser of 2023 or later.";
  report();
}

// A set as Python's json writes it, so that this table is that of lib.predict.
const writeSet = names => (names ? `[${names.map(name => JSON.stringify(name)).join(", ")}]` : "");

function saveAnswers() {
  const columns = ["file", "label", "probability", "set", "note", "problem"];
  const rows = answers.map(({path, set, ...more}) => ({...more, file: path, set: writeSet(set)}));
  saveTable("answers.csv", [columns, ...rows.map(row => columns.map(column => row[column]))]);
}

// What lies in a folder: Chromium opens those dropped on a page of a disk by handles alone,
// which other browsers don't know.
async function listFolder(folder) {
  const inside = [];
  if (folder.values) {
    for await (const one of folder.values()) inside.push(one);
    return inside;
  }
  const reader = folder.createReader();
  const read = () => new Promise((done, failed) => reader.readEntries(done, failed));
  for (let some = await read(); some.length; some = await read()) inside.push(...some);
  return inside;
}

// The pictures of a folder, of those in it, too, in the order of their names.
async function listFiles(entry, path = entry.name) {
  if (entry instanceof File) return [{file: entry, path}];
  if (entry.getFile) return [{file: await entry.getFile(), path}];
  if (entry.isFile) return [{file: await new Promise((done, failed) => entry.file(done, failed)), path}];
  const inside = await listFolder(entry);
  inside.sort((a, b) => (a.name < b.name ? -1 : 1));
  const lists = await Promise.all(inside.map(one => listFiles(one, `${path}/${one.name}`)));
  return lists.flat().filter(({file}) => /^image/.test(file.type) || /\.(hei[cf]|avif|tiff?)$/i.test(file.name));
}

const nameFiles = files => [...files].map(file => ({file, path: file.name}));

save.addEventListener("click", saveAnswers);
const chooser = document.getElementById("pictures");
document.getElementById("choose").addEventListener("click", () => chooser.click());
chooser.addEventListener("change", () => {
  add(nameFiles(chooser.files));
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
  // All are taken at once: they are gone when the first has been read.
  const items = [...event.dataTransfer.items].filter(item => item.kind === "file");
  const entries = items.map(item => {
    if (!item.webkitGetAsEntry()?.isDirectory) return item.getAsFile();
    return item.getAsFileSystemHandle?.() ?? item.webkitGetAsEntry();
  });
  const lists = [];
  for (const entry of entries) lists.push(await listFiles(await entry));
  add(lists.flat());
});
document.addEventListener("paste", event => add(nameFiles(event.clipboardData.files)));
model.then(() => {
  isReady = true;
  report();
}, fail);
// A module that this browser can't read.
addEventListener("error", event => isReady || fail(event.error ?? event.message));
report();
