// The pixels of a picture as the project's own loader has them: averaged over areas, and a square.

const STRIP = 256;  // rows of a picture that are read at a time

// Each source row (or column) lies in a cell, and what of it reaches beyond lies in the next one.
function divide(from, to) {
  const cells = new Int32Array(from);
  const shares = new Float64Array(from);
  const size = from / to;
  for (let k = 0; k < from; k++) {
    cells[k] = Math.min(Math.floor(k / size), to - 1);
    shares[k] = Math.min(1, Math.max(0, (cells[k] + 1) * size - k));
  }
  return {cells, shares};
}

// Add a row of RGBA bytes to the sums of its cells, three colours each.
function addRow(sums, data, start, {cells, shares}) {
  for (let x = 0, k = start; x < cells.length; x++, k += 4) {
    const share = shares[x];
    const rest = 1 - share;
    const index = 3 * cells[x];
    for (let c = 0; c < 3; c++) {
      sums[index + c] += share * data[k + c];
      sums[index + 3 + c] += rest * data[k + c];
    }
  }
}

// The RGBA bytes of some rows, laid over white.
function readStrip(pen, picture, top, rows) {
  pen.fillStyle = "white";
  pen.fillRect(0, 0, picture.width, rows);
  pen.drawImage(picture, 0, top, picture.width, rows, 0, 0, picture.width, rows);
  const {data} = pen.getImageData(0, 0, picture.width, rows);
  // A canvas that is larger than the browser allows holds nothing, and says nothing.
  if (data[3] !== 255) throw new Error("it is too wide for this browser");
  return data;
}

// Shrink a picture by averaging areas, as OpenCV's INTER_AREA does, strip by strip.
function shrink(picture, width, height) {
  const across = divide(picture.width, width);
  const down = divide(picture.height, height);
  const row = new Float64Array(3 * (width + 1));
  const sums = new Float64Array(row.length * (height + 1));
  const canvas = new OffscreenCanvas(picture.width, Math.min(STRIP, picture.height));
  const pen = canvas.getContext("2d", {willReadFrequently: true});
  for (let top = 0; top < picture.height; top += STRIP) {
    const rows = Math.min(STRIP, picture.height - top);
    const data = readStrip(pen, picture, top, rows);
    for (let y = 0; y < rows; y++) {
      row.fill(0);
      addRow(row, data, 4 * y * picture.width, across);
      const share = down.shares[top + y];
      const index = row.length * down.cells[top + y];
      for (let k = 0; k < row.length; k++) {
        sums[index + k] += share * row[k];
        sums[index + row.length + k] += (1 - share) * row[k];
      }
    }
  }
  const area = (picture.width / width) * (picture.height / height);
  const means = new Uint8Array(3 * width * height);
  for (let k = 0; k < means.length; k++) {
    const y = Math.floor(k / (3 * width));
    means[k] = Math.round(sums[row.length * y + k % (3 * width)] / area);
  }
  return means;
}

// Between which two source pixels each pixel lies, and how near it is to the second.
function findNeighbours(from, to) {
  return Array.from({length: to}, (_, k) => {
    const at = Math.min(Math.max((k + 0.5) * from / to - 0.5, 0), from - 1);
    const first = Math.floor(at);
    return [first, Math.min(first + 1, from - 1), at - first];
  });
}

// Enlarge a picture to a square, as OpenCV's INTER_LINEAR does.
function enlarge(pixels, width, height, side) {
  const across = findNeighbours(width, side);
  const down = findNeighbours(height, side);
  const enlarged = new Uint8Array(3 * side * side);
  let k = 0;
  for (const [upper, lower, near] of down) {
    for (const [left, right, close] of across) {
      for (let c = 0; c < 3; c++) {
        const mix = y => (1 - close) * pixels[3 * (width * y + left) + c]
          + close * pixels[3 * (width * y + right) + c];
        enlarged[k++] = Math.round((1 - near) * mix(upper) + near * mix(lower));
      }
    }
  }
  return enlarged;
}

function square(picture) {
  const side = about.image_size;
  const width = Math.min(picture.width, side);
  const height = Math.min(picture.height, side);
  const small = shrink(picture, width, height);
  return width === side && height === side ? small : enlarge(small, width, height, side);
}
