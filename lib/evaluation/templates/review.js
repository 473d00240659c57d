const {key, cases, pictures, classes, earlier, folder} = JSON.parse(at("data").textContent);
const FINDINGS = {"label?": "label to check", "copy?": "possible copy", outlier: "unlike its class", "": "next of the ranking"};
const numbers = new Map(cases.map(({file}, k) => [file, k]));
// File to the row that was decided: file, label ("" to leave it out), digest; of an earlier audit of this set, too.
let decisions = new Map(), now = 0;
const steps = [];  // each has what was shown when something was decided, and the rows before it

function describe(file) {
  const {label} = pictures[file], decided = decisions.get(file)?.[1];
  if (decided === undefined) return "undecided";
  return decided === "" ? "left out" : decided === label ? `kept as ${label}` : `taken as ${decided}`;
}

const write = share => share < 0.001 ? "under 0.001" : share.toFixed(3);
const byFile = rows => new Map(rows.map(row => [row[0], row]));
const isDecided = ({file}) => decisions.has(file);

function draw(id, file, what) {
  at(id).hidden = !file;
  if (!file) return;
  const {label, part, data} = pictures[file];
  at(id).replaceChildren(
    make("figcaption", {}, make("strong", {}, make("bdi", {}, label)), ` · ${part === "train" ? "training" : part} · ${what}`),
    data ? enlarge(file, what) : make("p", {}, "This file can't be read any more."));
}

function enlarge(file, alt) {
  const image = make("img", {src: pictures[file].data, alt});
  return make("button", {className: "picture", title: "As large as the window", onclick: () => zoom(file)}, image);
}

// The file itself, where it lies; where it doesn't, or is of a kind that no browser shows, the small one.
function zoom(file) {
  const image = make("img", {alt: file});
  image.addEventListener("error", () => { image.src = pictures[file].data; }, {once: true});
  image.src = `${folder}/${file}`.split("/").map(encodeURIComponent).join("/");
  at("size").replaceChildren(image);
  at("zoom").className = "";
  at("zoom").showModal();
}

// From all of a picture to each of its pixels, about the place that was clicked, and back.
function resize({clientX, clientY}) {
  const box = at("zoom");
  box.classList.toggle("whole");
  box.scrollTo((box.scrollWidth - box.clientWidth) * clientX / innerWidth, (box.scrollHeight - box.clientHeight) * clientY / innerHeight);
}

function show(k, last = "") {
  now = k;
  const {file, suggested, self_confidence, probability, finding, reason, neighbour, own} = cases[k];
  const {label} = pictures[file], isOther = suggested !== label, isCopy = finding.includes("copy?");
  const found = finding.split("; ").map(word => FINDINGS[word]).join(", ");
  const nearest = isCopy ? "what it may be a copy of" : `nearest of ${isOther ? "the suggestion" : "its own label"}`;
  at("case").textContent = `Case ${k + 1}: ${found}`;
  at("last").textContent = last;
  draw("picture", file, "picture to check");
  draw("beside", neighbour, nearest);
  draw("own", own === neighbour ? "" : own, "nearest of its own label");
  at("keep").firstChild.textContent = `Keep ${label}`;
  at("take").firstChild.textContent = isOther ? `Take ${suggested}` : "No other is suggested";
  update({keep: true, take: isOther, leave: true, withdraw: isDecided(cases[k])});
  const sure = `${label}, its label: ${write(self_confidence)}`;
  const facts = [
    ["Picture", file],
    ["Beside it", [...new Set([neighbour, own])].filter(Boolean).join(", ") || "nothing to compare it with"],
    ["Probability", isOther ? `${suggested}, suggested: ${write(probability)}; ${sure}` : sure],
    ["Known to 01", reason],
    ["Your decision", describe(file)]];
  at("facts").replaceChildren(...facts.filter(([, text]) => text)
    .flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]));
}

// What both views have; `can` tells which decisions can be made.
function update(can) {
  const focused = document.activeElement;
  for (const [id, isPossible] of Object.entries(can)) at(id).disabled = !isPossible;
  at("back").disabled = !steps.length;
  at("progress").value = cases.filter(isDecided).length;
  at("count").textContent = `${at("progress").value} of ${cases.length} decided`;
  at("download").disabled = !decisions.size && !earlier.length;
  at("find").value = "";
  // Who presses Enter once more decides nothing.
  if (focused.disabled) (isGrid() ? at("tiles").children[active] : at("next")).focus();
}

function list(file) {
  const button = at("all").children[numbers.get(file)]?.firstChild;
  if (button) button.textContent = `${file}: ${describe(file)}`;
}

// What another tab has decided counts, too. A browser that keeps nothing has it here alone.
function recall() {
  try {
    if (at("unkept").hidden) decisions = byFile(JSON.parse(localStorage.getItem(key) ?? "[]"));
  } catch {
    at("unkept").hidden = false;
  }
}

// Put these rows in place of those of some files, and return what was there; a row may be undefined.
function put(rows) {
  recall();
  const before = rows.map(([file]) => [file, decisions.get(file)]);
  for (const [file, decision] of rows) {
    decision ? decisions.set(file, decision) : decisions.delete(file);
    list(file);
  }
  try {
    localStorage.setItem(key, JSON.stringify([...decisions.values()]));
  } catch {
    at("unkept").hidden = false;
  }
  return before;
}

// Decide about all that is selected in the grid, else about the case. `label` gives each case its label,
// "" to leave it out, undefined to withdraw what was decided.
function decide(label) {
  const files = isGrid() ? [...selected] : [cases[now].file];
  if (!files.length) return;
  const rows = files.map(file => {
    const given = label(cases[numbers.get(file)]);
    return [file, given === undefined ? undefined : [file, given, pictures[file].digest]];
  });
  steps.push({k: now, label: isGrid() && at("class").value, before: put(rows)});
  const what = files.length > 1 ? `${files.length} pictures` : files[0];
  const said = `${what}: ${[...new Set(files.map(describe))].join(", ")}.`;
  const end = cases.every(isDecided) ? " All are decided: download the corrections." : "";
  if (isGrid()) {
    selected.clear();
    active = findUndecided(active);
    return showGrid(said + end);
  }
  const isWithdrawn = rows[0][1] === undefined;
  const order = cases.map((_, k) => (now + 1 + k) % cases.length);
  const following = isWithdrawn ? now : order.find(k => !isDecided(cases[k])) ?? now;
  show(following, said + end);
}

function goBack() {
  const {k, label, before} = steps.pop();
  put(before);
  const said = `One step back: ${before.length > 1 ? `${before.length} pictures are` : `${before[0][0]} is`} as before.`;
  if (!label) {
    now = k;
    return openView("one", said);
  }
  openView("many");
  openClass(label, before.map(([file]) => file));
  showGrid(said);
}

function choose() {
  const name = at("find").value;
  at("unknown").hidden = !name || classes.includes(name);
  if (!classes.includes(name)) return;
  at("find").blur();
  decide(() => name);
}

function download() {
  recall();
  saveTable("corrections.csv", [["file", "label", "digest"], ...new Map([...byFile(earlier), ...decisions]).values()]);
}

const actions = {
  keep: () => decide(({file}) => pictures[file].label), take: () => decide(({suggested}) => suggested),
  leave: () => decide(() => ""), withdraw: () => decide(() => undefined), back: goBack,
  previous: () => step(-1), next: () => step(1), one: () => openView("one"), many: () => openView("many"),
  large: () => zoom(tiles[active].file), size: resize, close: () => at("zoom").close(), download,
};
for (const [id, action] of Object.entries(actions)) at(id).onclick = action;
// Taken from the list, not typed: "cat" may be the beginning of "catfish".
at("find").oninput = event => event.inputType === "insertReplacementText" && choose();
at("find").onkeydown = event => {
  if (event.key === "Enter") choose();
  if (event.key === "Escape") at("find").blur();
};

// By the letters on the keys; on keyboards of other scripts by their place.
const keys = {k: "keep", s: "take", l: "leave", w: "withdraw"};
const keysOfOne = {...keys, arrowleft: "previous", arrowright: "next", g: "many"};
const keysOfGrid = {...keys, p: "previous", n: "next", g: "one"};
document.addEventListener("keydown", event => {
  if (event.altKey || !at("keys").checked || [at("find"), at("class")].includes(event.target)) return;
  const name = (/^[a-z]$/i.test(event.key) ? event.key : event.code.replace("Key", "")).toLowerCase();
  const isOpen = at("zoom").open;
  if (isGrid() && !isOpen && press(event)) return event.preventDefault();
  if (event.repeat) return;
  const id = (isGrid() ? keysOfGrid : keysOfOne)[name];
  if (event.ctrlKey || event.metaKey) {
    if (name !== "z" || isOpen) return;
    at("back").click();
  } else if (name === "z") isOpen ? at("zoom").close() : zoom(isGrid() ? tiles[active].file : cases[now].file);
  else if (isOpen) return;
  else if (name === "o") at("find").focus();
  else if (id) at(id).click();
  else return;
  // The letter must not be typed into the field that it opens.
  event.preventDefault();
});

at("names").append(...classes.map(name => make("option", {value: name})));
at("all").append(...cases.map((_, k) => make("li", {}, make("button", {onclick: () => { now = k; openView("one"); }}))));
function start(find) {
  recall();
  for (const {file} of cases) list(file);
  now = find();
  listClasses();
  openView(isGrid() ? "many" : "one");
}

addEventListener("storage", () => start(() => now));
