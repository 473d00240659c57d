// The answers: all are kept as numbers, and a page of them is in view, with small pictures.

const PAGE = 200;  // answers in view
const SMALL = 96;  // pixels, the longer side of a picture of a row
const BARS = 3;  // answers that are shown with theirs
const card = at("latest");
const answers = [];  // file, and a problem or numbers; `decide` makes words of them
const pictures = [];  // of each answer a small one as a blob, null where there is none
let saved = 0, lacking = 0;  // answers that are in a CSV file, and those that are a problem

// Divide the logits by the temperature, so that a probability is about the share that is right.
function scale(probabilities) {
  const most = Math.max(...probabilities);
  const powers = probabilities.map(p => (Math.max(p, 1e-37) / most) ** (1 / about.temperature));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map(p => p / sum);
}

// The classes that an answer may name, the most probable first: a thousand others would fill the memory.
function keep({probabilities, distance}) {
  const scaled = about.thresholds ? probabilities : scale(probabilities);
  const ranked = [...scaled.keys()].sort((a, b) => scaled[b] - scaled[a]);
  const isNamed = k => scaled[k] >= (about.thresholds?.[about.class_names[k]] ?? about.limit ?? 1);
  const classes = Uint32Array.from(ranked.slice(0, Math.max(BARS, ranked.findLastIndex(isNamed) + 1)));
  return {classes, probabilities: Float64Array.from(classes, k => scaled[k]), distance};
}

const round = number => Number(number.toFixed(6));

// As Python writes it: a number in the middle between two goes to the even one.
function writeFixed(number, digits) {
  const isInTheMiddle = (number * 2 ** (digits + 1)) % 2 === 1;
  if (!isInTheMiddle) return number.toFixed(digits);
  const lower = Math.floor(number * 10 ** digits);
  return ((lower + lower % 2) / 10 ** digits).toFixed(digits);
}

// As lib writes shares: only 0 is written as 0, and only 1 as 100.
function writePercent(share) {
  const isPlain = share === 0 || share === 1 || (share >= 0.01 && share <= 0.99);
  const percent = isPlain ? writeFixed(100 * share, 0) : writeFixed(Math.min(Math.max(100 * share, 0.1), 99.9), 1);
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

// What an answer says, with the columns of lib.predict among its properties.
function decide({classes, probabilities, distance}) {
  const ranked = Array.from(classes, (index, rank) => ({name: about.class_names[index], index, probability: probabilities[rank]}));
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

const describe = answer => ({file: answer.file, ...answer.problem ? {problem: answer.problem} : decide(answer)});

function drawInto(canvas, picture, side) {
  const share = side / Math.max(picture.width, picture.height);
  canvas.width = Math.max(1, Math.round(picture.width * share));
  canvas.height = Math.max(1, Math.round(picture.height * share));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  return canvas;
}

const draw = (picture, side) => drawInto(make("canvas", {ariaHidden: "true"}), picture, side);

// As a canvas it would take ten times the memory.
function shrink(canvas) {
  const [, text] = draw(canvas, SMALL).toDataURL("image/webp", 0.8).split(",");
  return new Blob([decode64(text)]);
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

function writeWords(described) {
  return make("div", {className: "words"}, make("h2", {className: "file"}, described.file), ...tell(described));
}

// An image's address would be kept by a browser whose tools are open.
async function drawBlob(canvas, blob) {
  const picture = await createImageBitmap(blob);
  drawInto(canvas, picture, SMALL);
  picture.close();
}

function writeRow(place) {
  const canvas = make("canvas", {ariaHidden: "true", width: SMALL, height: SMALL});
  if (pictures[place]) drawBlob(canvas, pictures[place]);
  return make("li", {}, canvas, writeWords(describe(answers[place])));
}

// Which answers a name counts, in their order; null counts all, and strangers have no name.
const placesOf = new Map([[null, []]]);
const listNames = ({note, named}) => note ? [""] : named?.map(one => one.name) ?? [];
let filter = null;  // the name whose answers are shown
let end = null;  // where the page ends among them; null for the newest, to which further answers come

// The latest answer is a card, and those before it are rows, which stay as they are on an older page.
function show({thumbnail, ...found}) {
  const former = answers.length - 1;
  const becomesRow = end === null && !card.hidden;
  answers.push(found);
  pictures.push(thumbnail ? shrink(thumbnail) : null);
  lacking += found.problem ? 1 : 0;
  const described = describe(found);
  for (const name of [null, ...listNames(described)]) count(name, former + 1);
  card.replaceChildren(thumbnail ?? make("canvas", {width: 1, height: 1}), writeWords(described));
  if (becomesRow) at("older").prepend(writeRow(former));
  showCard();
  while (at("older").children.length > countRows()) at("older").lastChild.remove();
  describePage();
  report();
}

function showCard() {
  card.hidden = placesOf.get(filter).at(-1) !== answers.length - 1;
}

const countRows = () => (end === null && !card.hidden ? PAGE - 1 : PAGE);

function showPage() {
  showCard();
  const places = placesOf.get(filter), last = end ?? places.length - (card.hidden ? 0 : 1);
  const rows = places.slice(Math.max(last - countRows(), 0), last).reverse();
  at("older").replaceChildren(...rows.map(writeRow));
  describePage();
}

function describePage() {
  const all = placesOf.get(filter).length, newest = all - (end ?? all);
  const oldest = Math.min(newest + PAGE, all);
  at("earlier").hidden = !at("older").firstChild;
  at("pages").hidden = all <= PAGE;
  at("range").textContent = `${newest + 1} to ${oldest} of ${all}`;
  at("back").ariaDisabled = String(oldest === all);
  at("forth").ariaDisabled = String(end === null);
}

function turn(step) {
  const all = placesOf.get(filter).length, next = (end ?? all) + step;
  if (next <= 0) return;
  end = next >= all ? null : next;
  showPage();
}

const chips = new Map();  // of each name; in view in the order of their counts

function count(name, place) {
  if (!placesOf.has(name)) placesOf.set(name, []);
  placesOf.get(name).push(place);
  if (name === null) return;
  if (!chips.has(name)) at("counts").append(addChip(name));
  const item = chips.get(name), number = placesOf.get(name).length;
  item.querySelector("span").textContent = ` ${number}`;
  item.dataset.rank = name ? number : Infinity;
  raise(item);
}

function addChip(name) {
  const onclick = () => showOnly(filter === name ? null : name);
  const chip = make("button", {type: "button", onclick}, name ? isolate(name) : "strangers", make("span"));
  chip.setAttribute("aria-pressed", "false");
  chips.set(name, make("li", {}, chip));
  return chips.get(name);
}

// What is moved loses the focus, which is given back.
function raise(item) {
  let next = item;
  while (Number(next.previousSibling?.dataset.rank) < Number(item.dataset.rank)) next = next.previousSibling;
  if (next === item) return;
  const hasFocus = item.contains(document.activeElement);
  next.before(item);
  if (hasFocus) item.firstChild.focus();
}

function showOnly(name) {
  chips.get(filter)?.firstChild.setAttribute("aria-pressed", "false");
  chips.get(name)?.firstChild.setAttribute("aria-pressed", "true");
  filter = name;
  end = null;
  showPage();
}

// The table of lib.predict, and why a picture has no answer, which lib.predict writes to the screen.
function saveAnswers() {
  const ofOne = ["label", "index", "probability", "set", "set_size", ...Object.keys(about.parents).length ? ["parent"] : [], "distance", "note"];
  const columns = ["file", ...about.thresholds ? ["labels"] : ofOne, "problem"];
  const rows = answers.map(describe).map(one => columns.map(column => one[column]));
  saveTable("answers.csv", [columns, ...rows]);
  saved = answers.length;
}

at("back").onclick = () => turn(-PAGE);
at("forth").onclick = () => turn(PAGE);
at("save").onclick = saveAnswers;
