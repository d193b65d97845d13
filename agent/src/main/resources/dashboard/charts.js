import { h } from "./dom.js";

/** A colour of the style sheet. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

let library = null;

function echarts() {
  library ??= import("./vendor/echarts/echarts.esm.min.mjs");
  return library;
}

/**
 * A chart of ECharts in an element of its own, described to screen readers by `label`. Tooltips are drawn
 * on the canvas, since the page's policy allows no inline styles.
 */
export class Picture {
  #chart = null;
  #option = null;
  #closed = false;
  #observer;

  constructor(label, className = "") {
    this.element = h("div", { class: `picture ${className}`, role: "img", "aria-label": label });
    this.#observer = new ResizeObserver(() => this.#resize());
    this.#observer.observe(this.element);
  }

  draw(option, clicked = null) {
    this.#option = option;
    if (this.#chart) {
      this.#chart.setOption(option, { replaceMerge: ["series"], lazyUpdate: true });
    } else {
      this.#open(clicked);
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

  async #open(clicked) {
    const { init } = await echarts();
    if (this.#closed || this.#chart || this.element.clientWidth === 0) {
      return;
    }
    this.#chart = init(this.element, null, { renderer: "canvas" });
    if (clicked) {
      this.#chart.on("click", clicked);
    }
    this.#chart.setOption(this.#option);
  }

  #resize() {
    if (this.#chart) {
      this.#chart.resize();
    } else if (this.#option) {
      this.#open(null);
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
