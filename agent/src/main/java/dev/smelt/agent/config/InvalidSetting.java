package dev.smelt.agent.config;

/** A setting that cannot work, with the words to mend it. */
public final class InvalidSetting extends IllegalArgumentException {

  private final String setting;
  private final String remedy;

  InvalidSetting(String setting, String remedy) {
    super(setting + ": " + remedy);
    this.setting = setting;
    this.remedy = remedy;
  }

  /** The same refusal, the setting named from further out, as in {@code models[0].policy.mode}. */
  InvalidSetting within(String path) {
    return path.isEmpty() ? this : new InvalidSetting(path + "." + setting, remedy);
  }
}
