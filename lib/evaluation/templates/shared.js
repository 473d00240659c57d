// What the pages of the classifier and of the review share.

const at = id => document.getElementById(id);

function make(tag, properties, ...inside) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...inside);
  return element;
}

function writeCell(value) {
  const text = String(value ?? "");
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function saveTable(name, rows) {
  const lines = rows.map(row => row.map(writeCell).join(",") + "\n");
  // The first sign tells spreadsheets that it is UTF-8.
  const href = URL.createObjectURL(new Blob(["\ufeff", ...lines], {type: "text/csv"}));
  make("a", {href, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(href), 60000);
}
