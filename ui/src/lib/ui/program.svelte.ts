// How the command line is called on this computer. A shell finds `patchbay` where it is installed; where it
// was only built, commands need its full path.

class Program {
  path = $state("patchbay");

  /** A command as it can be typed: `patchbay doctor` → `/home/…/patchbay doctor`. */
  command(text: string): string {
    return text.replace(/^patchbay(?= |$)/, () => this.path);
  }
}

export const program = new Program();
