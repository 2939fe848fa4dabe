// Sets the text of each page as large as the page allows, then starts reveal.js.
"use strict";
const SIZES = [38, 34, 31, 28, 26, 24, 22, 20, 18];

const fits = body => body.scrollHeight <= body.clientHeight && body.scrollWidth <= body.clientWidth
  && [...body.querySelectorAll("pre")].every(pre => pre.scrollWidth <= pre.clientWidth);

// A quiz has to fit with each of its answers open
function fitsUnfolded(body) {
  return fits(body) && [...body.querySelectorAll("details")].every(details => {
    details.open = true;
    const fine = fits(body);
    details.open = false;
    return fine;
  });
}

function fit(page) {
  const body = page.querySelector(".body");
  const size = SIZES.find(pixels => {
    page.style.setProperty("--text", `${pixels}px`);
    return fitsUnfolded(body);
  });
  if (!size) page.classList.add("wrap");  // lines of code that are too long even so
}

async function start() {
  const reveal = document.querySelector(".reveal"), slides = reveal.querySelector(".slides");
  reveal.classList.add("waiting");
  slides.style.cssText = "width:1280px;height:720px";
  const faces = ["", "600 ", "italic "].map(style => document.fonts.load(`${style}25px "Source Sans Pro"`));
  const pictures = [...document.images].map(image => image.decode().catch(() => null));
  if (window.MathJax) await new Promise(done => MathJax.Hub.Queue(["Typeset", MathJax.Hub], done));
  await Promise.all([...faces, ...pictures]);
  document.querySelectorAll(".page:not(.figure)").forEach(fit);
  reveal.classList.remove("waiting");
  await Reveal.initialize({
    width: 1280, height: 720, margin: 0, minScale: 0.1, maxScale: 6, center: false, hash: true, slideNumber: "c/t",
    transition: "none", backgroundTransition: "none", pdfMaxPagesPerSlide: 1, plugins: [RevealNotes]});
}
start();
