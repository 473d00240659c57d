// The camera: its frames are asked about as pictures are, and none of them is kept or sent.

const video = document.getElementById("video");
const camera = document.getElementById("camera");
const HALF_SECOND = 500;  // milliseconds
let stream = null;
let facing = "environment";
let recent = [];

function describeRefusal(error) {
  if (error.name === "NotAllowedError") {
    return "The camera was not allowed: allow it for this page in your browser, or choose pictures.";
  }
  return `The camera can't be used (${error.message || error.name}): choose pictures.`;
}

function stopCamera() {
  stream?.getTracks().forEach(track => track.stop());
  stream = null;
  recent = [];
  document.getElementById("live").hidden = true;
  camera.hidden = false;
}

function refuse(error) {
  stopCamera();
  document.getElementById("refused").textContent = describeRefusal(error);
}

async function startCamera() {
  stopCamera();
  camera.hidden = true;
  document.getElementById("refused").textContent = "";
  stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: facing}});
  stream.getTracks()[0].addEventListener("ended", stopCamera);  // It was pulled out, or taken back.
  video.srcObject = stream;
  await video.play();
  document.getElementById("live").hidden = false;
  await watch(stream);
}

async function watch(own) {
  const ask = await model;
  while (stream === own) {
    const frame = await createImageBitmap(video);
    const found = await ask(square(frame));
    frame.close();
    if (stream === own) showFrame(decide(averageRecent(found)));
    // Not before the next frame, and not while the page is out of sight.
    await new Promise(requestAnimationFrame);
  }
}

// The mean of the last half second, which a single blurred frame does not turn round.
function averageRecent(found) {
  const now = performance.now();
  recent = recent.filter(one => one.time > now - HALF_SECOND);
  recent.push({...found, time: now});
  return {
    probabilities: found.probabilities.map((_, k) => mean(recent.map(one => one.probabilities[k]))),
    distance: mean(recent.map(one => one.distance)),
  };
}

function writeBar({name, probability}) {
  const bar = write("span", "bar");
  bar.style.width = writePercent(probability).replace(" ", "");
  return write("li", "", bar, `${name} ${writePercent(probability)}`);
}

function showFrame(found) {
  document.getElementById("now").textContent = found.shown;
  document.getElementById("beside").textContent = found.remarks.join("; ");
  document.getElementById("bars").replaceChildren(...found.ranked.slice(0, 3).map(writeBar));
}

camera.hidden = !navigator.mediaDevices;
camera.addEventListener("click", () => startCamera().catch(refuse));
document.getElementById("stop").addEventListener("click", stopCamera);
document.getElementById("other").addEventListener("click", () => {
  facing = facing === "environment" ? "user" : "environment";
  startCamera().catch(refuse);
});
