// The grid of the review: a class's pictures as tiles, of which many are selected and decided at once.

const selected = new Set();  // files
let tiles = [], active = 0, anchor = 0;  // cases of the class; where the focus is; where a range begins

const isGrid = () => !at("grid").hidden;
const byLabel = new Map();
for (const one of cases) {
  const {label} = pictures[one.file];
  byLabel.set(label, [...byLabel.get(label) ?? [], one]);
}

function openView(view, last = "") {
  const isMany = view === "many", wasGrid = isGrid();
  at("grid").hidden = !isMany;
  at("single").hidden = isMany;
  at("one").ariaPressed = `${!isMany}`;
  at("many").ariaPressed = `${isMany}`;
  document.body.classList.toggle("many", isMany);
  at("previous").lastChild.textContent = isMany ? "P" : "←";
  at("next").lastChild.textContent = isMany ? "N" : "→";
  if (!isMany) return show(now, last);
  // From a case to its class.
  if (!wasGrid) openClass(pictures[cases[now].file].label);
  showGrid(last);
}

const countUndecided = label => byLabel.get(label).filter(one => !isDecided(one)).length;

function listClasses() {
  const labels = [...byLabel.keys()].sort();
  const chosen = at("class").value;
  at("class").replaceChildren(...labels.map(label => make("option", {value: label}, label)));
  if (byLabel.has(chosen)) at("class").value = chosen;
}

// Pictures of one suggestion stand side by side, so that a range of them is soon selected.
function openClass(label, files = []) {
  at("class").value = label;
  tiles = [...byLabel.get(label)].sort((a, b) => (a.suggested < b.suggested ? -1 : Number(a.suggested > b.suggested)));
  selected.clear();
  for (const file of files) selected.add(file);
  active = anchor = files.length ? tiles.findIndex(({file}) => file === files[0]) : findUndecided(0);
  at("tiles").replaceChildren(...tiles.map(makeTile));
}

// The first undecided tile from one on, else that one.
function findUndecided(k) {
  const order = tiles.map((_, j) => (k + j) % tiles.length);
  return order.find(j => !isDecided(tiles[j])) ?? k;
}

function makeTile({file, suggested, finding}) {
  const {label, data} = pictures[file];
  const picture = data ? make("img", {src: data, alt: "", draggable: false}) : make("p", {}, "can't be read any more");
  const words = suggested === label ? finding.split("; ").map(word => FINDINGS[word]).join(", ") : `${suggested}?`;
  const tile = make("div", {title: file}, picture, make("bdi", {}, words), make("strong"));
  tile.setAttribute("role", "option");
  return tile;
}

function showGrid(last = "") {
  const label = at("class").value, undecided = countUndecided(label);
  at("case").textContent = `${label}: ${undecided} of ${tiles.length} undecided`;
  at("last").textContent = last || `${selected.size} selected`;
  at("keep").firstChild.textContent = `Right: keep ${label}`;
  at("take").firstChild.textContent = "Take the suggestions";
  tiles.forEach(({file}, k) => {
    const tile = at("tiles").children[k];
    tile.setAttribute("aria-selected", selected.has(file));
    tile.tabIndex = k === active ? 0 : -1;
    tile.classList.toggle("decided", decisions.has(file));
    tile.lastChild.textContent = decisions.has(file) ? describe(file) : "";
  });
  const isAny = selected.size > 0;
  update({keep: isAny, take: isAny, leave: isAny, withdraw: isAny});
}

// Step to another case, or to another class.
function step(by) {
  if (!isGrid()) return show((now + by + cases.length) % cases.length);
  const labels = [...at("class").options].map(option => option.value);
  openClass(labels[(at("class").selectedIndex + by + labels.length) % labels.length]);
  showGrid();
}

function toggle(k) {
  const {file} = tiles[k];
  if (!selected.delete(file)) selected.add(file);
  anchor = k;
}

function selectTo(k) {
  const [first, last] = [anchor, k].sort((a, b) => a - b);
  for (const {file} of tiles.slice(first, last + 1)) selected.add(file);
}

function go(k, event) {
  active = Math.min(Math.max(k, 0), tiles.length - 1);
  if (event.shiftKey) selectTo(active);
  else anchor = active;
  showGrid();
  at("tiles").children[active].focus();
}

// What a key does in the grid; tell whether it does anything.
function press(event) {
  const isElsewhere = event.target.matches("button, input, summary, a");
  const tops = [...at("tiles").children].map(tile => tile.offsetTop);
  const columns = tops.filter(top => top === tops[0]).length;
  const moves = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -active, End: tiles.length};
  if (event.key in moves) go(active + moves[event.key], event);
  else if (event.key === "Escape") selected.clear(), showGrid();
  else if (event.key === " " && !isElsewhere) toggle(active), go(active, {});
  else if ((event.ctrlKey || event.metaKey) && event.key === "a") {
    for (const one of tiles) if (!isDecided(one)) selected.add(one.file);
    showGrid();
  } else return false;
  return true;
}

const findTile = target => [...at("tiles").children].indexOf(target.closest("[role=option]"));
let band = null;  // where a drag began, and what was selected before it

at("tiles").onclick = event => {
  const k = findTile(event.target);
  if (k < 0 || band?.isDrawn) return;
  if (event.shiftKey) selectTo(k);
  else toggle(k);
  active = k;
  showGrid();
  at("tiles").children[k].focus();
};
at("tiles").ondblclick = event => findTile(event.target) >= 0 && zoom(tiles[active].file);

// A finger scrolls; a mouse draws a box, and what it touches is selected.
at("tiles").onpointerdown = event => {
  band = event.button || event.pointerType === "touch" ? null : {x: event.pageX, y: event.pageY, before: [...selected]};
};
addEventListener("pointermove", event => {
  if (!band || !(event.buttons & 1)) return;
  const left = Math.min(band.x, event.pageX), right = Math.max(band.x, event.pageX);
  const top = Math.min(band.y, event.pageY), bottom = Math.max(band.y, event.pageY);
  if (right - left + bottom - top < 8 && !band.isDrawn) return;
  band.isDrawn = true;
  at("band").hidden = false;
  Object.assign(at("band").style, {left: `${left}px`, top: `${top}px`, width: `${right - left}px`, height: `${bottom - top}px`});
  selected.clear();
  for (const file of band.before) selected.add(file);
  tiles.forEach(({file}, k) => {
    const box = at("tiles").children[k].getBoundingClientRect();
    const isAcross = box.left + scrollX < right && box.right + scrollX > left;
    if (isAcross && box.top + scrollY < bottom && box.bottom + scrollY > top) selected.add(file);
  });
  showGrid();
});
addEventListener("pointerup", () => {
  at("band").hidden = true;
  // The click that ends a drag comes after this.
  setTimeout(() => { band = null; });
});
at("class").onchange = () => {
  openClass(at("class").value);
  showGrid();
};
