const at = id => document.getElementById(id);
const { key, cases, pictures, classes, earlier, folder } = JSON.parse(at("data").textContent);
// File to the row that was decided: file, label ("" to leave it out), digest; of an earlier audit of this set, too.
let decisions = new Map(), now = 0, row = [];
const IN_A_ROW = 8;

function describe(k) {
  const { file, label } = pictures[k], decided = decisions.get(file)?.[1];
  if (decided === undefined) return "undecided";
  return decided === "" ? "left out" : decided === label ? `kept as ${label}` : `taken as ${decided}`;
}

const write = share => share < 0.001 ? "under 0.001" : share.toFixed(3);
const byFile = rows => new Map(rows.map(row => [row[0], row]));
const isDecided = k => decisions.has(pictures[k].file);

function draw(id, k, alt) {
  const { label, part, data } = pictures[k];
  at(id).replaceChildren(
    make("figcaption", {}, make("strong", {}, label), ` · ${part === "train" ? "training" : part}`),
    data ? enlarge(k, alt) : make("p", {}, "This file can't be read any more."));
}

function enlarge(k, alt) {
  const image = make("img", { src: pictures[k].data, alt });
  return make("button", { className: "picture", title: "At its own size", onclick: () => zoom(k) }, image);
}

// The file itself, where it lies; where it doesn't, or is of a kind that no browser shows, the small one.
function zoom(k) {
  const { file, data } = pictures[k], image = make("img", { alt: file });
  image.onerror = () => {
    image.onerror = null;
    image.src = data;
  };
  image.src = `${folder}/${file}`.split("/").map(encodeURIComponent).join("/");
  at("zoom").replaceChildren(image);
  at("zoom").showModal();
}

// Undecided cases of the same label and suggestion.
function findRow(k) {
  const same = i => pictures[i].label === pictures[k].label && cases[i].suggested === cases[k].suggested;
  return [...cases.keys()].filter(i => i !== k && !isDecided(i) && same(i) && pictures[i].data).slice(0, IN_A_ROW);
}

function show(k, last = "") {
  now = k;
  const focused = document.activeElement;
  const { suggested, self_confidence, probability, finding, reason, beside } = cases[k];
  const { file, label } = pictures[k], isCopy = finding.includes("possible copy");
  const nearest = isCopy ? "what it may be a copy of" : `the nearest picture of ${suggested}`;
  at("case").textContent = `Case ${k + 1} of ${cases.length}: ${finding.join(", ") || "next of the ranking"}`;
  at("last").textContent = last;
  draw("picture", k, "picture to check");
  at("beside").replaceChildren();
  if (beside >= 0) draw("beside", beside, nearest);
  at("keep").firstChild.textContent = `Keep ${label}`;
  at("take").firstChild.textContent = suggested === label ? "No other is suggested" : `Take ${suggested}`;
  at("take").disabled = suggested === label;
  at("withdraw").disabled = !isDecided(k);
  const own = `${label}, its label: ${write(self_confidence)}`;
  const facts = [
    ["Picture", file],
    ["Beside it", beside < 0 ? "nothing to compare it with" : `${pictures[beside].file}, ${nearest}`],
    ["Probability", suggested === label ? own : `${suggested}, suggested: ${write(probability)}; ${own}`],
    ["Known to 01", reason],
    ["Your decision", describe(k)]];
  at("facts").replaceChildren(...facts.filter(([, text]) => text)
    .flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]));
  at("progress").value = cases.filter((_, k) => isDecided(k)).length;
  at("count").textContent = `${at("progress").value} of ${cases.length} decided`;
  at("download").disabled = !decisions.size && !earlier.length;
  [...at("all").children].forEach((row, k) => {
    row.firstChild.textContent = `${pictures[k].file}: ${describe(k)}`;
  });
  at("find").value = "";
  row = findRow(k);
  at("row").hidden = !row.length;
  at("every").checked = false;
  at("alike").replaceChildren(...row.map(i => enlarge(i, pictures[i].file)));
  // Who presses Enter once more decides nothing.
  if (focused.disabled) at("next").focus();
}

// What another tab has decided counts, too. A browser that keeps nothing has it here alone.
function recall() {
  try {
    if (at("unkept").hidden) decisions = byFile(JSON.parse(localStorage.getItem(key) ?? "[]"));
  } catch {
    at("unkept").hidden = false;
  }
}

function remember(change) {
  recall();
  change();
  try {
    localStorage.setItem(key, JSON.stringify([...decisions.values()]));
  } catch {
    at("unkept").hidden = false;
  }
}

function withdraw() {
  remember(() => decisions.delete(pictures[now].file));
  show(now, `${pictures[now].file}: ${describe(now)}.`);
}

function decide(label) {
  const more = at("every").checked ? row : [];
  remember(() => [now, ...more].forEach(k => {
    const { file, digest } = pictures[k];
    decisions.set(file, [file, label, digest]);
  }));
  const order = cases.map((_, k) => (now + 1 + k) % cases.length);
  const following = order.find(k => !isDecided(k));
  const end = following === undefined ? " All are decided: download the corrections." : "";
  const which = more.length ? `${pictures[now].file} and ${more.length} more` : pictures[now].file;
  show(following ?? now, `${which}: ${describe(now)}.${end}`);
}

function choose() {
  const name = at("find").value;
  at("unknown").hidden = !name || classes.includes(name);
  if (!classes.includes(name)) return;
  at("find").blur();
  decide(name);
}

function download() {
  recall();
  saveTable("corrections.csv", [["file", "label", "digest"], ...new Map([...byFile(earlier), ...decisions]).values()]);
}

const step = by => show((now + by + cases.length) % cases.length);
const actions = {
  zoom: () => at("zoom").close(),
  keep: () => decide(pictures[now].label),
  take: () => decide(cases[now].suggested),
  leave: () => decide(""),
  withdraw,
  previous: () => step(-1),
  next: () => step(1),
  download,
};
for (const [id, action] of Object.entries(actions)) at(id).onclick = action;
// Taken from the list, not typed: "cat" may be the beginning of "catfish".
at("find").oninput = event => event.inputType === "insertReplacementText" && choose();
at("find").onkeydown = event => {
  if (event.key === "Enter") choose();
  if (event.key === "Escape") at("find").blur();
};

// By the letters on the keys; on keyboards of other scripts by their place.
const keys = { k: "keep", s: "take", l: "leave", w: "withdraw", arrowleft: "previous", arrowright: "next" };
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || !at("keys").checked) return;
  if (event.target === at("find")) return;
  const name = (/^[a-z]$/i.test(event.key) ? event.key : event.code.replace("Key", "")).toLowerCase();
  if (name === "z") at("zoom").open ? at("zoom").close() : zoom(now);
  else if (at("zoom").open) return;
  else if (name === "a") at("every").click();
  else if (name === "o") at("find").focus();
  else if (keys[name]) at(keys[name]).click();
  else return;
  // The letter must not be typed into the field that it opens.
  event.preventDefault();
});

at("names").append(...classes.map(name => make("option", { value: name })));
at("all").append(...cases.map((_, k) => make("li", {}, make("button", { onclick: () => show(k) }, ""))));
addEventListener("storage", () => {
  recall();
  show(now);
});
recall();
show(Math.max(cases.findIndex((_, k) => !isDecided(k)), 0));
