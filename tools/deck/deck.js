// Lays the cells of a notebook out on pages of 1280 x 720, then starts reveal.js. What a slide's cells need beyond one page
// goes on on the next; breaks are put between cells or paragraphs, figures take the room that is left.
"use strict";
const PAGE = {width: 1200, height: 644, gap: 12, running: 34};
const SMALLEST = 0.85, LARGEST = 1.5;  // of a figure's own size; its text is made for that
const NOT_AFTER = 100, INSIDE_CODE = 7, INSIDE_A_LIST = 1.5, INSIDE_A_CELL = 0.7;  // what a break costs there

const make = (tag, cls = "") => Object.assign(document.createElement(tag), {className: cls});
const heading = node => /^H[1-6]$/.test(node.tagName);

// The cells of a slide as blocks: {node, cell, fragment, figure, penalty of a break after it}
function blocksOf(section) {
  const blocks = [];
  for (const cell of section.querySelectorAll(":scope > .cell")) {
    cell.querySelectorAll("style").forEach(style => style.remove());
    const nodes = [...cell.childNodes].filter(n => n.nodeType === 1 || n.textContent.trim()).flatMap(unwrapped);
    const parts = quizOf(nodes) ?? nodes.flatMap(unfold).flatMap(node => (/^[UO]L$/.test(node.tagName) ? items(node) : [node]));
    parts.forEach((node, i) => blocks.push({
      node, cell, fragment: "fragment" in cell.dataset, figure: node.querySelector?.("img") ?? null,
      after: i < parts.length - 1 ? afterPart(node, parts[i + 1]) : afterLast(node)}));
  }
  return blocks;
}

function unwrapped(node) {
  if (node.nodeType !== 1) return [Object.assign(make("p"), {textContent: node.textContent})];
  if (node.tagName !== "DIV" || node.classList.contains("code")) return [node];
  return node.querySelector("table, p, figure") ? [...node.children].flatMap(unwrapped) : [node];
}

// Folded texts of a quiz stay folded; others are opened
function unfold(node) {
  if (node.tagName !== "DETAILS") return [node];
  return [...node.children].flatMap(part => (part.tagName === "SUMMARY"
    ? [Object.assign(make("p"), {innerHTML: `<b>${part.innerHTML}:</b>`})] : unwrapped(part)));
}

function quizOf(nodes) {
  if (!nodes.some(node => node.textContent.startsWith("Quiz."))) return null;
  const quiz = make("div", "quiz");
  quiz.append(...nodes.filter(node => !node.classList.contains("code")));
  quiz.querySelectorAll("details").forEach(details => { details.name = `quiz${document.querySelectorAll("details").length}`; });
  return [quiz];  // h.quiz("...") itself is of no interest on a slide
}

function items(list, start = list.start ?? 1) {
  return [...list.children].map((item, i) => {
    const part = Object.assign(make(list.tagName), list.tagName === "OL" ? {start: start + i} : {});
    part.append(item);
    return part;
  });
}

const announces = node => heading(node) || (/^(P|UL|OL)$/.test(node.tagName) && node.textContent.trim().endsWith(":"));
function afterPart(node, next) {
  if (announces(node)) return NOT_AFTER;
  if (node.classList.contains("code") || node.classList.contains("output")) return INSIDE_CODE;
  return /^[UO]L$/.test(node.tagName) && node.tagName === next.tagName ? INSIDE_A_LIST : INSIDE_A_CELL;
}
const afterLast = node => (heading(node) ? NOT_AFTER : announces(node) ? 5 : 0);

// Tables and texts higher than a page, in pieces
function pieces(block, room) {
  const {node} = block;
  if (node.offsetHeight <= room) return [block];
  const cut = (rows, wrap) => {
    const count = Math.ceil(node.offsetHeight / (room - 60)), size = Math.ceil(rows.length / count);
    return Array.from({length: count}, (_, i) => wrap(rows.slice(i * size, (i + 1) * size))).filter(Boolean);
  };
  let parts = [node];
  if (node.tagName === "TABLE" && node.tBodies.length) {
    repeatSpans(node);
    parts = cut([...node.tBodies[0].rows], rows => {
      const part = node.cloneNode(false), body = make("tbody");
      if (node.tHead) part.append(node.tHead.cloneNode(true));
      body.append(...rows);
      part.append(body);
      return part;
    });
  } else if (node.tagName === "PRE") {
    parts = cut(node.innerHTML.split("\n"), lines => Object.assign(node.cloneNode(false), {innerHTML: lines.join("\n")}));
  }
  node.replaceWith(...parts);
  return parts.map((part, i) => ({...block, node: part, after: i < parts.length - 1 ? 0 : block.after}));
}

// A name that stands for several rows is put before each of them, and hidden in all but the first of a page
function repeatSpans(table) {
  for (const cell of table.querySelectorAll("tbody th[rowspan]")) {
    let row = cell.parentElement;
    for (let left = cell.rowSpan; left > 1; left--) {
      row = row.nextElementSibling;
      row.insertBefore(Object.assign(cell.cloneNode(true), {rowSpan: 1, className: "again"}), row.children[cell.cellIndex]);
    }
    cell.rowSpan = 1;
  }
}

function measure(block) {
  const {node, figure} = block;
  if (node.tagName === "TABLE" && node.scrollWidth > PAGE.width) node.classList.add("tight");
  if (figure) {
    const [w, h] = [figure.naturalWidth || 1, figure.naturalHeight || 1];
    const fits = Math.min(PAGE.width / w, (PAGE.height - PAGE.running) / h);
    block.size = {w, h, least: Math.min(SMALLEST, fits), most: Math.min(LARGEST, fits)};
    block.height = h * block.size.least;
  } else {
    node.classList.toggle("long", node.matches(".quiz") && unfolded(node) > PAGE.height - PAGE.running);
    block.height = node.matches(".quiz") ? unfolded(node) : node.offsetHeight;
  }
}

// The height of a quiz with its longest answer open
function unfolded(quiz) {
  const heights = [...quiz.querySelectorAll("details")].map(details => {
    details.open = true;
    const height = quiz.offsetHeight;
    details.open = false;
    return height;
  });
  return Math.max(quiz.offsetHeight, ...heights);
}

// The first blocks of pages: fewest pages, cheap breaks, evenly filled
function breaks(blocks) {
  const best = Array(blocks.length + 1).fill(null);
  best[blocks.length] = {cost: 0};
  for (let i = blocks.length - 1; i >= 0; i--) {
    let height = i > 0 || !heading(blocks[0].node) ? PAGE.running : 0, grow = 0;
    for (let j = i; j < blocks.length; j++) {
      height += blocks[j].height + (j > i ? PAGE.gap : 0);
      grow += blocks[j].size ? blocks[j].size.h * (blocks[j].size.most - blocks[j].size.least) : 0;
      if (height > PAGE.height && j > i) break;
      const empty = Math.max(0, 1 - (height + grow) / PAGE.height);
      const cost = 10 + 4 * empty ** 2 + (j < blocks.length - 1 ? blocks[j].after : 0) + best[j + 1].cost;
      if (!best[i] || cost < best[i].cost) best[i] = {cost, next: j + 1, height};
    }
  }
  const follow = i => (i < blocks.length ? [[i, best[i].next, best[i].height], ...follow(best[i].next)] : []);
  return follow(0);
}

function enlarge(blocks, height) {
  const figures = blocks.filter(block => block.size);
  const scaled = (size, t) => Math.min(Math.max(t, size.least), size.most);
  const total = t => height + figures.reduce((sum, {size}) => sum + size.h * (scaled(size, t) - size.least), 0);
  let t = LARGEST;
  while (t > 0.1 && total(t) > PAGE.height) t -= 0.01;
  for (const {figure, size} of figures) {
    const scale = scaled(size, t);
    figure.removeAttribute("style");
    figure.style.width = `${Math.floor(size.w * scale)}px`;
    figure.style.height = `${Math.floor(size.h * scale)}px`;
  }
}

function fill(page, blocks) {
  let last = null;
  const order = [...new Set(blocks.map(block => block.cell))];
  for (const {node, cell, fragment} of blocks) {
    if (last?.cell === cell && /^[UO]L$/.test(node.tagName) && last.node.tagName === node.tagName) {
      last.node.append(...node.children);  // one list again
      continue;
    }
    if (fragment && order.indexOf(cell) > 0) {
      node.classList.add("fragment");
      node.dataset.fragmentIndex = order.indexOf(cell);
    }
    page.append(node);
    last = {node, cell};
  }
}

// Few words are set larger
function spread(page) {
  if (page.querySelector("img, .quiz")) return;
  fitCode(page);
  for (const size of [33, 30, 28]) {
    page.style.setProperty("--text", `${size}px`);
    const end = page.lastElementChild.offsetTop + page.lastElementChild.offsetHeight - page.offsetTop;
    if (end < 0.8 * PAGE.height && page.scrollWidth <= page.clientWidth) return;
  }
  page.style.removeProperty("--text");
  page.style.removeProperty("--code");
}

// Code is set no larger than its longest line allows, 18 px at least
function fitCode(page) {
  const codes = [...page.querySelectorAll("pre")];
  const longest = Math.max(1, ...codes.flatMap(code => code.textContent.split("\n").map(line => line.length)));
  page.style.setProperty("--code", `${Math.max(18, Math.min(24, Math.floor(1165 / 0.605 / longest)))}px`);
}

const escaped = text => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");

// Whether these blocks are no more than the call that draws the figure on the next page: then it goes into the notes
function onlyDraws(blocks, from, to) {
  if (to !== from + 1 || to === blocks.length || !blocks[to].figure || blocks[from].cell !== blocks[to].cell) return false;
  const {node} = blocks[from];
  return node.matches(".code") && node.textContent.trim().split("\n").length <= 4;
}

const notesIn = element => [...element.querySelectorAll("aside.notes")].map(note => note.innerHTML).join("");

// One slide as pages; `notes` stand beside each of them. Returns the last heading, which goes on top of what follows
function layOut(section, running, notes) {
  const bench = make("div", "page bench");
  let blocks = blocksOf(section);
  section.replaceChildren(bench);
  bench.append(...blocks.map(block => block.node));
  blocks = blocks.flatMap(block => pieces(block, PAGE.height - PAGE.running));
  blocks.forEach(measure);
  const sections = breaks(blocks).flatMap(([from, to, height]) => {
    if (onlyDraws(blocks, from, to)) return [];
    const part = make("section"), page = make("div", "page"), its = blocks.slice(from, to);
    if (heading(its[0].node)) running = its[0].node.textContent;
    else page.append(Object.assign(make("p", "running"), {textContent: running}));
    enlarge(its, height);
    fill(page, its);
    const said = its.filter(block => block.figure?.alt).map(block => `<p><b>Figure.</b> ${escaped(block.figure.alt)}</p>`);
    if (from > 0 && onlyDraws(blocks, from - 1, from)) said.push(`<pre>${escaped(blocks[from - 1].node.textContent)}</pre>`);
    part.append(page, Object.assign(make("aside", "notes"), {innerHTML: said.join("") + notes}));
    return part;
  });
  section.replaceWith(...sections);
  sections.forEach(part => spread(part.firstChild));
  return running;
}

async function start() {
  const reveal = document.querySelector(".reveal"), slides = reveal.querySelector(".slides");
  reveal.classList.add("waiting");
  slides.style.cssText = "width:1280px;height:720px";
  const faces = ["", "600 ", "italic "].map(style => document.fonts.load(`${style}25px "Source Sans Pro"`));
  const pictures = [...document.images].map(image => image.decode().catch(() => null));
  if (window.MathJax) await new Promise(done => MathJax.Hub.Queue(["Typeset", MathJax.Hub], done));
  await Promise.all([...faces, ...pictures]);
  let running = document.title;
  for (const stack of [...slides.children]) {
    const shared = notesIn(stack);  // of a part of the lecture: for those of its slides that have none of their own
    for (const section of [...stack.children]) running = layOut(section, running, notesIn(section) || shared);
  }
  reveal.classList.remove("waiting");
  await Reveal.initialize({
    width: 1280, height: 720, margin: 0, minScale: 0.1, maxScale: 6, center: false, hash: true, slideNumber: "c/t",
    transition: "none", backgroundTransition: "none", pdfSeparateFragments: false, pdfMaxPagesPerSlide: 1,
    plugins: [RevealNotes]});
}
start();
