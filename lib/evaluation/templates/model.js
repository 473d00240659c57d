// The page of a classifier: it asks the model about pictures, and writes what it says.

const about = JSON.parse(at("about").textContent);

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
    return {...keep(await ask(square(picture))), thumbnail: draw(picture, 240)};
  } catch (error) {
    return {problem: error.message};
  } finally {
    picture.close();
  }
}

// One picture after the other; who chooses some before the model is ready is answered then.
let queue = Promise.resolve(), chosen = 0, isReady = false, failure = "";

function add(files) {
  for (const {file, path} of files) {
    chosen += 1;
    queue = queue.then(() => answer(file)).then(found => show({file: path, ...found})).catch(fail);
  }
  report(files.length ? "" : "Nothing here is a picture. ");
}

function describeProgress() {
  if (failure) return failure;
  if (!chosen) return isReady ? "Ready for your pictures." : "Getting ready…";
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
