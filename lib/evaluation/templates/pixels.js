// The pixels of a picture as the project's own loader has them: averaged over areas, and a square.

const ROWS = 16;  // that are made at a time: a large picture is not held twice

// The source pixels that each pixel is the mean of, and their shares. Where a picture shrinks, it is an
// area, as of OpenCV's INTER_AREA; else one pixel's width, which lies on two, as of its INTER_LINEAR.
function listSources(from, to) {
  const width = Math.max(from / to, 1);
  return Array.from({length: to}, (_, k) => {
    const start = Math.min(Math.max((k + 0.5) * from / to - width / 2, 0), from - width);
    const end = Math.min(start + width, from);
    const first = Math.floor(start);
    const shares = [];
    for (let at = first; at < end; at++) {
      shares.push((Math.min(at + 1, end) - Math.max(at, start)) / width);
    }
    return {first, shares};
  });
}

// The RGBA bytes from a row on, laid over white.
function readStrip(pen, picture, top) {
  const {width, height} = pen.canvas;
  pen.fillStyle = "white";
  pen.fillRect(0, 0, width, height);
  pen.drawImage(picture, 0, -top);
  const {data} = pen.getImageData(0, 0, width, height);
  // A canvas that is larger than the browser allows holds nothing, and says nothing.
  if (data[3] !== 255) throw new Error("it is too wide for this browser");
  return data;
}

// The mean of one colour, or of the opaqueness, from the byte `start` on.
function average(data, start, stride, across, down) {
  let sum = 0;
  for (let y = 0; y < down.length; y++) {
    for (let x = 0; x < across.length; x++) {
      sum += down[y] * across[x] * data[start + stride * y + 4 * x];
    }
  }
  return sum;
}

function resize(picture, width, height) {
  const across = listSources(picture.width, width);
  const down = listSources(picture.height, height);
  const rows = Math.ceil(ROWS * Math.max(picture.height / height, 1)) + 2;
  const canvas = new OffscreenCanvas(picture.width, rows);
  const pen = canvas.getContext("2d", {willReadFrequently: true});
  const stride = 4 * picture.width;
  const resized = new ImageData(width, height);
  let index = 0;
  for (let k = 0; k < height; k += ROWS) {
    const top = down[k].first;
    const data = readStrip(pen, picture, top);
    for (const row of down.slice(k, k + ROWS)) {
      for (const column of across) {
        const start = stride * (row.first - top) + 4 * column.first;
        for (let colour = 0; colour < 4; colour++) {
          resized.data[index++] = average(data, start + colour, stride, column.shares, row.shares);
        }
      }
    }
  }
  return resized;
}

// It is shrunk first, then enlarged: the loader has whole numbers in between.
function square(picture) {
  const side = about.image_size;
  const shrunk = resize(picture, Math.min(picture.width, side), Math.min(picture.height, side));
  const canvas = new OffscreenCanvas(shrunk.width, shrunk.height);
  canvas.getContext("2d", {willReadFrequently: true}).putImageData(shrunk, 0, 0);
  return new Uint8Array(resize(canvas, side, side).data.filter((_, k) => k % 4 < 3));
}
