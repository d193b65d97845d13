import { h } from "./dom.js";

/** A colour of the style sheet. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

let library = null;
let attempts = 0;

/** The library, or null while it cannot be had: the agent may be away just now, and the next drawing asks again. */
async function echarts() {
  // A browser may remember that an address failed.
  library ??= import(`./vendor/echarts/echarts.esm.min.mjs${attempts > 0 ? `?attempt=${attempts}` : ""}`);
  const asked = library;
  try {
    return await asked;
  } catch {
    if (library === asked) {
      library = null;
      attempts += 1;
    }
    return null;
  }
}

/**
 * A chart of ECharts in an element of its own, described to screen readers by `label`. Tooltips are drawn
 * on the canvas, since the page's policy allows no inline styles.
 */
export class Picture {
  #chart = null;
  #option = null;
  #closed = false;
  #clicked = null;
  #observer;

  constructor(label, className = "") {
    this.element = h("div", { class: `picture ${className}`, role: "img", "aria-label": label });
    this.#observer = new ResizeObserver(() => this.#resize());
    this.#observer.observe(this.element);
  }

  draw(option, clicked = null) {
    this.#option = option;
    this.#clicked = clicked;
    if (this.#chart) {
      this.#chart.setOption(option, { replaceMerge: ["series"], lazyUpdate: true });
    } else {
      this.#open();
    }
  }

  describe(label) {
    this.element.setAttribute("aria-label", label);
  }

  height(pixels) {
    this.element.style.height = `${pixels}px`;
  }

  close() {
    this.#closed = true;
    this.#observer.disconnect();
    this.#chart?.dispose();
  }

  async #open() {
    const found = await echarts();
    if (!found || this.#closed || this.#chart || this.element.clientWidth === 0) {
      return;
    }
    this.#chart = found.init(this.element, null, { renderer: "canvas" });
    if (this.#clicked) {
      this.#chart.on("click", (event) => this.#clicked(event));
    }
    this.#chart.setOption(this.#option);
  }

  #resize() {
    if (this.#chart) {
      this.#chart.resize();
    } else if (this.#option) {
      this.#open();
    }
  }
}

/** What every ECharts option of ours shares. */
export function baseOption() {
  return {
    animation: false,
    backgroundColor: "transparent",
    textStyle: { fontFamily: "system-ui, sans-serif", color: colour("text-2") },
    tooltip: {
      renderMode: "richText",
      backgroundColor: colour("raised"),
      borderColor: colour("line"),
      textStyle: { color: colour("text"), fontSize: 12 },
      confine: true,
    },
  };
}

/** A time series of uPlot that keeps its element's width. */
export class Series {
  #plot = null;
  #make;
  #data = null;
  #observer;
  #height;

  /** make: (width) => options without size */
  constructor(label, height, make) {
    this.#make = make;
    this.#height = height;
    this.element = h("div", { class: "series", role: "img", "aria-label": label, style: { height: `${height}px` } });
    this.#observer = new ResizeObserver(() => this.#resize());
    this.#observer.observe(this.element);
  }

  describe(label) {
    this.element.setAttribute("aria-label", label);
  }

  draw(data) {
    this.#data = data;
    if (this.#plot) {
      this.#plot.setData(data);
    } else {
      this.#open();
    }
  }

  close() {
    this.#observer.disconnect();
    this.#plot?.destroy();
  }

  #open() {
    const width = this.element.clientWidth;
    if (width > 0 && this.#data) {
      this.#plot = new window.uPlot({ ...this.#make(), width, height: this.#height }, this.#data, this.element);
    }
  }

  #resize() {
    const width = this.element.clientWidth;
    if (this.#plot && width > 0) {
      this.#plot.setSize({ width, height: this.#height });
    } else {
      this.#open();
    }
  }
}

/** An axis of uPlot in the colours of the page. */
export function axis(more = {}) {
  return {
    stroke: colour("text-2"),
    grid: { stroke: colour("grid"), width: 1 },
    ticks: { stroke: colour("grid"), width: 1, size: 4 },
    font: "11px system-ui, sans-serif",
    ...more,
  };
}

/** Hours and minutes, as the rest of the page writes them. */
export function timeAxis() {
  return axis({
    space: 70,
    size: 32,
    values: (plot, splits, index, space, step) =>
      splits.map((at) =>
        new Date(at * 1000).toLocaleTimeString("en-GB", step < 60 ? { hour: "2-digit", minute: "2-digit", second: "2-digit" } : { hour: "2-digit", minute: "2-digit" }),
      ),
  });
}
