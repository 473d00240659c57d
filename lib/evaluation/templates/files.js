// What a file's own bytes tell before a browser decodes it.

const MAX_PIXELS = 89478485;  // as elsewhere in the project, and twice as many in a JPEG

// Where a JPEG has a marker of some kind: a thumbnail in its head has markers of its own.
function findMarker(bytes, isSought) {
  for (let at = 2; at + 1 < bytes.length;) {
    const kind = bytes[at + 1];
    const isMarker = bytes[at] === 255 && kind !== 255;
    if (isMarker && isSought(kind)) return at;
    const hasLength = isMarker && (kind >= 0xd8 || (kind >= 2 && kind < 0xd0));
    at += hasLength ? 2 + 256 * bytes[at + 2] + bytes[at + 3] : 1;
  }
  return -1;
}

const hasEndOfJpeg = bytes => findMarker(bytes, kind => kind === 0xd9) >= 0;
// Of the frames of a JPEG all but tables and comments, which lie between their numbers.
const isFrame = kind => kind >= 0xc0 && kind <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(kind);

function hasEndOfPng(bytes, view) {
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    if (view.getUint32(at + 4) === 0x49454e44) return true;  // IEND
  }
  return false;
}

// Some browsers show what is left of a picture, and the rest grey.
function isCutOff(bytes, view, head) {
  if (head.startsWith("\xff\xd8")) return !hasEndOfJpeg(bytes);
  if (head.startsWith("\x89PNG")) return !hasEndOfPng(bytes, view);
  if (head.startsWith("GIF8")) return bytes[bytes.length - 1] !== 0x3b;
  // These two say in their head how long they are.
  if (head.startsWith("RIFF")) return view.getUint32(4, true) + 8 > bytes.length;
  return head.startsWith("BM") && view.getUint32(2, true) > bytes.length;
}

// Before a picture is decoded: its head tells, or the browser, which takes longer.
async function countPixels(file, view, head) {
  const frame = head.startsWith("\xff\xd8") ? findMarker(new Uint8Array(view.buffer), isFrame) : -1;
  if (frame >= 0) return view.getUint16(frame + 5) * view.getUint16(frame + 7);
  if (head.startsWith("\x89PNG")) return view.getUint32(16) * view.getUint32(20);
  const image = new Image();
  image.src = URL.createObjectURL(file);
  const loading = new Promise((done, failed) => Object.assign(image, {onload: done, onerror: failed}));
  await loading.finally(() => URL.revokeObjectURL(image.src));
  return image.naturalWidth * image.naturalHeight;
}

// The orientation that Exif tells, 0 for none; damaged Exif tells nothing.
function readExif(view, text) {
  const found = /(?:Exif\0\0|eXIf|EXIF.{4})(?=II\*\0|MM\0\*)/s.exec(text);
  if (!found) return 0;
  const start = found.index + found[0].length;
  const isLittle = text[start] === "I";
  try {
    const first = start + view.getUint32(start + 4, isLittle);
    for (let k = 0, at = first + 2; k < view.getUint16(first, isLittle); k++, at += 12) {
      if (view.getUint16(at, isLittle) === 0x112) return view.getUint16(at + 8, isLittle);
    }
  } catch {}
  return 0;
}

// Pictures of 2 × 1 pixels that are to be turned upright, of the kinds that some browsers don't turn.
const LYING = {
  PNG: "iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAAAAADRSSBWAAAAGmVYSWZNTQAqAAAACAABARIAAwAAAAEABgAAAAAAANZnS2kAAAALSURBVHicY2BgAAAAAwABuK06YwAAAABJRU5ErkJggg==",
  RIFF: "UklGRk4AAABXRUJQVlA4WAoAAAAIAAAAAQAAAAAAVlA4TA4AAAAvAQAAAAcQEf0PRET/A0VYSUYaAAAATU0AKgAAAAgAAQESAAMAAAABAAYAAAAAAAA=",
  ftyp: "AAAAHGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZgAAAPNtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAAA5waXRtAAAAAAABAAAAHmlsb2MAAAAARAAAAQABAAAAAQAAARcAAAAaAAAAKGlpbmYAAAAAAAEAAAAaaW5mZQIAAAAAAQAAYXYwMUNvbG9yAAAAAHJpcHJwAAAAUmlwY28AAAAUaXNwZQAAAAAAAAACAAAAAQAAAA5waXhpAAAAAAEIAAAADGF2MUOBABwAAAAAE2NvbHJuY2x4AAEADQAGgAAAAAlpcm90AwAAABhpcG1hAAAAAAAAAAEAAQUBAoMEhQAAACJtZGF0EgAKBxgAJpgIaDUyDR/1Fd/+LACQNZFuXHA=",
};

// Exif turns a picture, boxes an AVIF; by what XMP says, as elsewhere in the project, no browser does.
async function isLeftLying(bytes, view, head) {
  const text = new TextDecoder("latin1").decode(bytes);
  const kind = /^.?(PNG)|^(RIFF)|^.{4}(ftyp)/s.exec(head)?.slice(1).join("");
  const exif = kind === "ftyp" ? 0 : readExif(view, text);
  if (!exif && /tiff:Orientation(="|>)[2-8]/.test(text)) return true;
  const isTurned = kind === "ftyp" ? /irot[\x01-\x03]|imir/.test(text) : exif > 1 && exif < 9;
  if (!isTurned || !(kind in LYING)) return false;
  const shown = await createImageBitmap(new Blob([decode64(LYING[kind])]));
  return shown.width > shown.height;
}

async function describeProblem(file, bytes, head) {
  const view = new DataView(bytes.buffer);
  if (isCutOff(bytes, view, head)) return "the file is cut off: its end is missing";
  const limit = head.startsWith("\xff\xd8") ? 2 * MAX_PIXELS : MAX_PIXELS;
  if (await countPixels(file, view, head) > limit) return `it has more than ${Math.round(limit / 1e6)} million pixels`;
  const isLying = await isLeftLying(bytes, view, head);
  return isLying ? "it lies on its side, and this browser doesn't turn it: save it upright, as JPEG" : "";
}
