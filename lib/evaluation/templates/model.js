// The page of a classifier: it asks the model about pictures, and writes what it says.

const about = JSON.parse(at("about").textContent);
const card = at("latest");
const answers = [];  // with the columns of lib.predict among their properties

// The module at the end of the page calls this once it has read the runtime.
let tellRuntime;
const model = new Promise(resolve => { tellRuntime = resolve; }).then(startModel);

function decode64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let k = 0; k < bytes.length; k++) bytes[k] = letters.charCodeAt(k);
  return bytes;
}

async function unpack(id) {
  const bytes = decode64(at(id).textContent);
  at(id).remove();
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
  const known = at("known").textContent && new Int16Array((await unpack("known")).buffer);
  const shape = [1, about.image_size, about.image_size, 3];
  return async image => {
    const input = new runtime.Tensor(image, shape);
    const outputs = await compiled.run({images: input});
    const probabilities = Float64Array.from(outputs.output_0.toTypedArray());
    const features = outputs.output_1?.toTypedArray();
    for (const tensor of [input, ...Object.values(outputs)]) tensor.delete();
    return {probabilities, distance: known ? measureDistance(features, known) : null};
  };
}

const mean = numbers => numbers.reduce((a, b) => a + b) / numbers.length;

// The mean distance to the five nearest training pictures; of all the features have the length 1.
function measureDistance(features, known) {
  const length = Math.hypot(...features) || 1;
  const distances = [];
  for (let row = 0; row < known.length; row += features.length) {
    let sum = 0;
    for (let k = 0; k < features.length; k++) sum += (features[k] / length - known[row + k] / 32767) ** 2;
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
const round = number => Number(number.toFixed(6));

// As lib writes shares: only 0 is written as 0, and only 1 as 100.
function writePercent(share) {
  const isPlain = share === 0 || share === 1 || (share >= 0.01 && share <= 0.99);
  const percent = isPlain ? (100 * share).toFixed(0) : Math.min(Math.max(100 * share, 0.1), 99.9).toFixed(1);
  return `${percent}\u00a0%`;
}

// Of several labels those above their thresholds are named, the most probable first.
function decideLabels(ranked) {
  const named = ranked.filter(one => one.probability >= about.thresholds[one.name]);
  const inOrder = named.toSorted((a, b) => a.index - b.index);
  return {labels: inOrder.map(one => one.name).join("|"), named, bars: ranked.slice(0, Math.max(BARS, named.length))};
}

// The parents of a class, the lowest first; the lowest that holds all classes of a set, "" where none does.
const listParents = name => Object.hasOwn(about.parents, name) ? [about.parents[name], ...listParents(about.parents[name])] : [];
const findParent = ([first, ...others]) => listParents(first).find(parent => others.every(name => listParents(name).includes(parent))) ?? "";

function decide({probabilities, distance}) {
  const scaled = about.thresholds ? probabilities : scale(probabilities);
  const ranked = about.class_names.map((name, index) => ({name, index, probability: scaled[index]}));
  ranked.sort((a, b) => b.probability - a.probability);
  if (about.thresholds) return decideLabels(ranked);
  const {name, index, probability} = ranked[0];
  const isStranger = about.farthest !== null && distance > about.farthest;
  const answer = {label: name, index, probability: round(probability), named: [ranked[0]], bars: ranked.slice(0, BARS)};
  if (distance !== null) answer.distance = round(distance);
  if (isStranger) answer.note = about.note;
  // What sets promise holds for pictures like those that it knows.
  if (isStranger || about.limit === null) return answer;
  // The most probable class is in the set even where it is not probable enough.
  const held = ranked.filter((one, rank) => rank === 0 || one.probability >= about.limit).map(one => one.name);
  // As Python's json writes it.
  return {...answer, held, set: `[${held.map(one => JSON.stringify(one)).join(", ")}]`, set_size: held.length, parent: findParent(held)};
}

const HEADS = {HEIC: /^.{4}ftyp(hei|hev|mif|msf)/s, TIFF: /^(II\*\0|MM\0\*)/};

// Return its answer, or a problem, never an error: the next picture is asked about all the same.
async function answer(file) {
  const ask = await model;
  // So that the page can be scrolled between two pictures.
  await new Promise(done => setTimeout(done));
  let picture = null, head = "";
  try {
    const bytes = new Uint8Array(await file.arrayBuffer());
    head = String.fromCharCode(...bytes.subarray(0, 16));
    const problem = await describeProblem(file, bytes, head);
    if (problem) return {problem};
    picture = await createImageBitmap(file);
  } catch {
    const kind = Object.keys(HEADS).find(name => HEADS[name].test(head));
    return {problem: kind ? `${kind}, which this browser can't read: save it as JPEG` : "this browser can't read it as a picture"};
  }
  try {
    return {...decide(await ask(square(picture))), thumbnail: draw(picture, 240)};
  } catch (error) {
    return {problem: error.message};
  } finally {
    picture.close();
  }
}

function draw(picture, side) {
  const canvas = make("canvas", {ariaHidden: "true"});
  const share = side / Math.max(picture.width, picture.height);
  canvas.width = Math.max(1, Math.round(picture.width * share));
  canvas.height = Math.max(1, Math.round(picture.height * share));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  return canvas;
}

// A name from right to left leaves the number behind it in its place.
const isolate = name => make("bdi", {}, name);
const writeShare = ({name, probability}) => [isolate(name), make("span", {className: "percent"}, ` ${writePercent(probability)}`)];

function writeBar(one) {
  const bar = make("span", {className: "bar"});
  bar.style.width = `${100 * one.probability}%`;
  return make("li", {}, bar, ...writeShare(one));
}

function writeSet(names, parent) {
  const inside = names.length === about.class_names.length ? ["any class"] : names.flatMap(name => [", ", isolate(name)]).slice(1);
  return make("p", {className: "set"}, "Answer set: ", ...inside, ...parent ? [" (", isolate(parent), ")"] : []);
}

// The warning goes before the answer.
function tell({note, problem, named, bars, held, parent}) {
  const warning = note && "Unlike the pictures it knows";
  const texts = Object.entries({warning, note, problem}).filter(([, text]) => text);
  const classes = named?.map(one => make("p", {className: "class"}, ...writeShare(one))) ?? [];
  if (named?.length === 0) classes.push(make("p", {className: "class"}, "none of its labels"));
  const list = bars ? [make("ol", {className: "bars"}, ...bars.map(writeBar))] : [];
  return [...texts.map(([kind, text]) => make("p", {className: kind}, text)), ...classes, ...list, ...held ? [writeSet(held, parent)] : []];
}

// The answer before becomes a row, whose picture is small: the large one is kept by nothing.
function show({thumbnail, ...found}) {
  if (answers.length) {
    const [picture, words] = card.children;
    const row = make("li", {}, draw(picture, 96), words);
    at("older").prepend(row);
    namesOf.set(row, namesOf.get(card));
    at("earlier").hidden = false;
  }
  answers.push(found);
  const heading = make("h2", {className: "file"}, found.file);
  card.replaceChildren(thumbnail || make("canvas", {width: 1, height: 1}), make("div", {className: "words"}, heading, ...tell(found)));
  card.hidden = false;
  namesOf.set(card, listNames(found));
  count();
  report();
}

// Of each card and row the names that count it. Strangers have no name, and come first.
const namesOf = new Map();
const listNames = ({note, named}) => note ? [""] : named?.map(one => one.name) ?? [];
let filter = null;  // the name whose answers are shown; null for all

function count() {
  const counts = new Map();
  for (const name of [...namesOf.values()].flat()) counts.set(name, (counts.get(name) ?? 0) + 1);
  const ranked = [...counts].sort(([a, few], [b, many]) => !b - !a || many - few);
  at("counts").replaceChildren(...ranked.map(([name, number]) => {
    const onclick = () => showOnly(filter === name ? null : name);
    const chip = make("button", {type: "button", onclick}, name ? isolate(name) : "strangers", ` ${number}`);
    chip.setAttribute("aria-pressed", filter === name);
    return make("li", {}, chip);
  }));
}

function showOnly(name) {
  filter = name;
  for (const [element, names] of namesOf) element.hidden = name !== null && !names.includes(name);
  const place = [...at("counts").children].findIndex(one => one.contains(document.activeElement));
  count();
  at("counts").children[place]?.firstChild.focus();
}

// One picture after the other; who chooses some before the model is ready is answered then.
let queue = Promise.resolve(), chosen = 0, saved = 0, isReady = false, failure = "";

function add(files) {
  showOnly(null);
  for (const {file, path} of files) {
    chosen += 1;
    queue = queue.then(() => answer(file)).then(found => show({file: path, ...found})).catch(fail);
  }
  report(files.length ? "" : "Nothing here is a picture. ");
}

function describeProgress() {
  if (failure) return failure;
  if (!chosen) return isReady ? "Ready for your pictures." : "Getting ready…";
  const lacking = answers.filter(one => one.problem).length;
  const answered = `${answers.length - lacking} of ${chosen} answered`;
  if (answers.length < chosen) return `${answered}. The next one is being looked at…`;
  return lacking ? `${answered}; ${lacking} can't be.` : `${answered}.`;
}

function report(before = "") {
  at("save").hidden = answers.length === 0;
  at("said").textContent = before + describeProgress();
}

function fail(error) {
  failure = `The classifier can't run here (${error?.message || error}). It needs a browser of 2023 or later.`;
  report();
}

// The table of lib.predict, which says of a model of several labels alone why a picture has no answer.
function saveAnswers() {
  const ofOne = ["label", "index", "probability", "set", "set_size", ...Object.keys(about.parents).length ? ["parent"] : [], "distance", "note"];
  const columns = ["file", ...about.thresholds ? ["labels", "problem"] : ofOne];
  saveTable("answers.csv", [columns, ...answers.map(one => columns.map(column => one[column]))]);
  saved = answers.length;
}

// What lies in a folder: Chromium opens those dropped on a page of a disk by handles alone,
// which other browsers don't know.
async function listFolder(folder) {
  const inside = [];
  if (folder.values) {
    for await (const one of folder.values()) inside.push(one);
    return inside;
  }
  const reader = folder.createReader(), read = () => new Promise((done, failed) => reader.readEntries(done, failed));
  for (let some = await read(); some.length; some = await read()) inside.push(...some);
  return inside;
}

// The pictures of a folder, of those in it, too, in the order of their paths.
function findPictures(files) {
  const isPicture = ({file}) => /^image/.test(file.type) || /\.(hei[cf]|avif|tiff?)$/i.test(file.name);
  return files.filter(isPicture).sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function listFiles(entry, path = entry.name) {
  if (entry instanceof File) return [{file: entry, path}];
  if (entry.getFile) return [{file: await entry.getFile(), path}];
  if (entry.isFile) return [{file: await new Promise((done, failed) => entry.file(done, failed)), path}];
  const lists = [];
  for (const one of await listFolder(entry)) lists.push(await listFiles(one, `${path}/${one.name}`));
  return findPictures(lists.flat());
}

const nameFiles = files => [...files].map(file => ({file, path: file.webkitRelativePath || file.name}));

for (const [button, input] of [["choose", at("pictures")], ["folder", at("inside")]]) {
  at(button).onclick = () => input.click();
  input.onchange = () => {
    const files = nameFiles(input.files);
    add(input.webkitdirectory ? findPictures(files) : files);
    input.value = "";  // The same may be chosen again.
  };
}
for (const image of document.querySelectorAll("#examples img")) {
  const open = () => new File([decode64(image.src.split(",")[1])], "example.webp");
  image.parentElement.onclick = () => add([{file: open(), path: image.alt}]);
}
at("save").onclick = saveAnswers;
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, event => {
    event.preventDefault();
    document.body.classList.toggle("dragging", kind === "dragover");
  });
}
document.addEventListener("drop", async event => {
  // All are taken at once: they are gone when the first has been read.
  const items = [...event.dataTransfer.items].filter(item => item.kind === "file");
  const open = item => item.getAsFileSystemHandle?.() ?? item.webkitGetAsEntry();
  const entries = items.map(item => item.webkitGetAsEntry()?.isDirectory ? open(item) : item.getAsFile());
  const lists = [];
  for (const entry of entries) lists.push(await listFiles(await entry));
  add(lists.flat());
});
document.addEventListener("paste", event => add(nameFiles(event.clipboardData.files)));
addEventListener("beforeunload", event => saved < answers.length && event.preventDefault());
model.then(() => {
  isReady = true;
  report();
}, fail);
// A module that this browser can't read.
addEventListener("error", event => isReady || fail(event.error ?? event.message));
report();
